set(WEFT_WARNINGS -Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wcast-qual -Wstrict-prototypes -Wmissing-prototypes
    -Wold-style-definition -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wno-unused-parameter)
add_compile_options(${WEFT_WARNINGS} -fno-math-errno -ffp-contract=off -fvisibility=hidden)
if(WEFT_SANITIZE)
  add_compile_options(-fsanitize=${WEFT_SANITIZE} -fno-omit-frame-pointer -g -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${WEFT_SANITIZE})
else()
  add_compile_options(-fstack-protector-strong)
endif()
