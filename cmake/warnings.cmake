# One interface target carries warnings, hardening and sanitizers to every room.
add_library(retort_flags INTERFACE)
target_compile_options(retort_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wno-psabi -Wno-restrict -fstack-protector-strong)
target_compile_definitions(retort_flags INTERFACE _GLIBCXX_ASSERTIONS)
if(RETORT_WERROR)
  target_compile_options(retort_flags INTERFACE -Werror)
endif()
if(RETORT_SANITIZE)
  target_compile_options(retort_flags INTERFACE
    -fsanitize=${RETORT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(retort_flags INTERFACE -fsanitize=${RETORT_SANITIZE})
endif()
