# A room is a folder under src/, a static library and a namespace. It may include only rooms
# that it names under USES, and those must stand on a strictly lower level.
#
#   retort_room(collect LEVEL 5 USES corpus openai http base
#     SOURCES collector.cc ...        every .cc of the folder; tests/tidy compares
#     LIBRARIES CURL::libcurl         foreign libraries, private to the room's .cc files
#     TESTS collector_test.cc ...)    one test program, retort_<room>_test
set(RETORT_CODEGEN_AVX2 -O3 -fno-math-errno -mavx2 -mfma -mf16c -mbmi2)
# g++ 12 warns of undefined values inside its own AVX-512 header.
set(RETORT_CODEGEN_AVX512 -O3 -fno-math-errno -march=x86-64-v4 -mavx512vnni
  -mprefer-vector-width=512 -Wno-maybe-uninitialized)
set(RETORT_CODEGEN_AVX512_BF16 ${RETORT_CODEGEN_AVX512} -mavx512bf16)

function(retort_room NAME)
  cmake_parse_arguments(ROOM "" "LEVEL" "USES;SOURCES;LIBRARIES;TESTS" ${ARGN})
  if(ROOM_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "room ${NAME}: unknown arguments ${ROOM_UNPARSED_ARGUMENTS}")
  endif()
  set_property(GLOBAL PROPERTY RETORT_LEVEL_${NAME} ${ROOM_LEVEL})
  set_property(GLOBAL APPEND PROPERTY RETORT_ROOMS ${NAME})

  add_library(retort_${NAME} STATIC ${ROOM_SOURCES})
  target_include_directories(retort_${NAME} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(retort_${NAME} PUBLIC retort_flags fmt::fmt PRIVATE ${ROOM_LIBRARIES})
  foreach(USED ${ROOM_USES})
    get_property(USED_LEVEL GLOBAL PROPERTY RETORT_LEVEL_${USED})
    if("${USED_LEVEL}" STREQUAL "")
      message(FATAL_ERROR "room ${NAME} uses ${USED}, which is not a room (declared later?)")
    endif()
    if(NOT USED_LEVEL LESS ROOM_LEVEL)
      message(FATAL_ERROR
        "room ${NAME} (level ${ROOM_LEVEL}) may not use ${USED} (level ${USED_LEVEL})")
    endif()
    target_link_libraries(retort_${NAME} PUBLIC retort_${USED})
  endforeach()

  # Kernels compiled for one instruction set say so in their name and are picked at run time.
  foreach(SOURCE ${ROOM_SOURCES})
    if(SOURCE MATCHES "_avx2\\.cc$")
      set_source_files_properties(${SOURCE} PROPERTIES COMPILE_OPTIONS "${RETORT_CODEGEN_AVX2}")
    elseif(SOURCE MATCHES "_avx512\\.cc$")
      set_source_files_properties(${SOURCE} PROPERTIES COMPILE_OPTIONS "${RETORT_CODEGEN_AVX512}")
    elseif(SOURCE MATCHES "_avx512_bf16\\.cc$")
      set_source_files_properties(${SOURCE} PROPERTIES
        COMPILE_OPTIONS "${RETORT_CODEGEN_AVX512_BF16}")
    endif()
  endforeach()

  if(RETORT_BUILD_TESTS AND ROOM_TESTS)
    add_executable(retort_${NAME}_test ${ROOM_TESTS})
    target_link_libraries(retort_${NAME}_test PRIVATE retort_${NAME} GTest::gtest_main GTest::gmock)
    # Test code takes longer to compile than to run; -O1 is nearly half of that.
    target_compile_options(retort_${NAME}_test PRIVATE $<$<CONFIG:RelWithDebInfo>:-O1>)
    target_compile_definitions(retort_${NAME}_test PRIVATE
      RETORT_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    gtest_discover_tests(retort_${NAME}_test TEST_PREFIX ${NAME}. DISCOVERY_TIMEOUT 60
      DISCOVERY_MODE PRE_TEST PROPERTIES LABELS "unit;${NAME}" TIMEOUT 300)
  endif()
endfunction()
