# Data that travels with the program: the JSON presets and families are compiled in, the default text is a file beside it.
# Each is made from a list file that changes when a file appears or goes, so the result follows.
set(WEFT_EMBED_LINES "")
set(WEFT_EMBED_FILES "")
foreach(table presets families classes folders)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${table}/*.json ${CMAKE_SOURCE_DIR}/src/text/${table}/*.json)
  list(TRANSFORM files REPLACE "\\.json$" "") # bart stands before bart-decoder, and is meant where no class is named
  list(SORT files)
  list(TRANSFORM files APPEND ".json")
  foreach(file IN LISTS files)
    string(APPEND WEFT_EMBED_LINES "${table} ${file}\n")
    list(APPEND WEFT_EMBED_FILES "${file}")
  endforeach()
endforeach()
set(WEFT_EMBED_LIST ${CMAKE_BINARY_DIR}/generated/embedded.list)
file(GENERATE OUTPUT ${WEFT_EMBED_LIST} CONTENT "${WEFT_EMBED_LINES}")
set(WEFT_EMBEDDED_SOURCE ${CMAKE_BINARY_DIR}/generated/embedded.c)
add_custom_command(
  OUTPUT ${WEFT_EMBEDDED_SOURCE}
  COMMAND ${CMAKE_COMMAND} -DLIST=${WEFT_EMBED_LIST} -DOUT=${WEFT_EMBEDDED_SOURCE} -P ${CMAKE_SOURCE_DIR}/tools/embed.cmake
  DEPENDS ${WEFT_EMBED_FILES} ${WEFT_EMBED_LIST} ${CMAKE_SOURCE_DIR}/tools/embed.cmake
  COMMENT "Embedding presets and families"
  VERBATIM)

# weft's own sources and documentation, in a fixed order, and nothing of anybody else.
file(GLOB_RECURSE WEFT_TEXT RELATIVE ${CMAKE_SOURCE_DIR} CONFIGURE_DEPENDS
     docs/*.md docs/*.c include/*.h src/*.c src/*.h src/*.def cli/*.c cli/*.h cli/*.def bench/*.c)
list(SORT WEFT_TEXT)
set(WEFT_TEXT README.md CONTRIBUTING.md ${WEFT_TEXT})
string(REPLACE ";" "\n" WEFT_TEXT_LINES "${WEFT_TEXT}")
set(WEFT_TEXT_LIST ${CMAKE_BINARY_DIR}/generated/default-text.list)
file(GENERATE OUTPUT ${WEFT_TEXT_LIST} CONTENT "${WEFT_TEXT_LINES}\n")
list(TRANSFORM WEFT_TEXT PREPEND ${CMAKE_SOURCE_DIR}/)
set(WEFT_DEFAULT_TEXT_FILE ${CMAKE_BINARY_DIR}/share/weft/default.txt)
add_custom_command(
  OUTPUT ${WEFT_DEFAULT_TEXT_FILE}
  COMMAND ${CMAKE_SOURCE_DIR}/tools/gather-text ${CMAKE_SOURCE_DIR} ${WEFT_TEXT_LIST} ${WEFT_DEFAULT_TEXT_FILE}
  DEPENDS ${WEFT_TEXT} ${WEFT_TEXT_LIST} ${CMAKE_SOURCE_DIR}/tools/gather-text
  COMMENT "Gathering the default text"
  VERBATIM)
add_custom_target(weft_default_text ALL DEPENDS ${WEFT_DEFAULT_TEXT_FILE})
