# make install: the program, both libraries, headers, the default text, man pages, and what pkg-config and find_package read.
set(WEFT_STATIC_LIBS "")
foreach(library ${WEFT_GEMM_LIBRARY} ${PCRE2_LIBRARIES} ${UTF8PROC_LIBRARIES} ${XXHASH_LIBRARIES} z m pthread ${CMAKE_DL_LIBS})
  if(IS_ABSOLUTE "${library}")
    get_filename_component(library ${library} NAME_WE)
    string(REGEX REPLACE "^lib" "" library ${library})
  endif()
  list(APPEND WEFT_STATIC_LIBS -l${library})
endforeach()
string(REPLACE ";" " " WEFT_STATIC_FLAGS "${WEFT_STATIC_LIBS}")

set(WEFT_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/weft)
file(RELATIVE_PATH WEFT_PREFIX_FROM_CMAKE /${WEFT_CMAKE_DIR} /)
file(RELATIVE_PATH WEFT_PREFIX_FROM_PC /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/weft.pc.in generated/weft.pc @ONLY)
configure_file(cmake/weftConfig.cmake.in generated/weftConfig.cmake @ONLY)
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/generated/weftConfigVersion.cmake COMPATIBILITY SameMinorVersion)

install(TARGETS weft weft_shared ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/weft DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES ${WEFT_DEFAULT_TEXT_FILE} DESTINATION share/weft)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${CMAKE_BINARY_DIR}/generated/weft.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${CMAKE_BINARY_DIR}/generated/weftConfig.cmake ${CMAKE_BINARY_DIR}/generated/weftConfigVersion.cmake
        DESTINATION ${WEFT_CMAKE_DIR})
if(TARGET weft_cli)
  install(TARGETS weft_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  # The program writes its own manual and its words for bash.
  set(WEFT_MAN_DIR ${CMAKE_BINARY_DIR}/share/man/man1)
  set(WEFT_COMPLETION ${CMAKE_BINARY_DIR}/share/bash-completion/completions/weft)
  add_custom_command(
    OUTPUT ${WEFT_COMPLETION}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${WEFT_MAN_DIR} ${CMAKE_BINARY_DIR}/share/bash-completion/completions
    COMMAND weft_cli help --pages ${WEFT_MAN_DIR}
    COMMAND weft_cli completion > ${WEFT_COMPLETION}
    DEPENDS weft_cli
    COMMENT "Writing the manual"
    VERBATIM)
  add_custom_target(weft_manual ALL DEPENDS ${WEFT_COMPLETION})
  install(DIRECTORY ${WEFT_MAN_DIR} DESTINATION ${CMAKE_INSTALL_MANDIR})
  install(FILES ${WEFT_COMPLETION} DESTINATION share/bash-completion/completions)
endif()
