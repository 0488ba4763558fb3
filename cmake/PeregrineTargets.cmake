# How every target of the house is made: one library a folder, the same warnings everywhere.
find_program(PEREGRINE_CCACHE ccache)
if(PEREGRINE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${PEREGRINE_CCACHE})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${PEREGRINE_CCACHE})
endif()

# A program loads the libraries it uses, not all that its libraries might.
add_link_options(LINKER:--as-needed)

add_library(peregrine_options INTERFACE)
target_include_directories(peregrine_options INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src
                                                       ${PROJECT_BINARY_DIR}/generated)
target_compile_options(peregrine_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow -Wnon-virtual-dtor>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${PEREGRINE_WERROR}>>:-Werror>
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra;--expt-relaxed-constexpr>
  $<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${PEREGRINE_WERROR}>>:--Werror=all-warnings>)
if(PEREGRINE_SANITIZE)
  add_compile_options(-fsanitize=${PEREGRINE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${PEREGRINE_SANITIZE})
  # Every program, the tests and the one they start.
  set(PEREGRINE_SANITIZER_SOURCE ${PROJECT_SOURCE_DIR}/tests/testing/sanitizer_options.cc)
endif()

# peregrine_library(NAME SOURCES... [PUBLIC targets...] [PRIVATE targets...])
# makes the static library peregrine_NAME; links point down the ladder only.
function(peregrine_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(peregrine_${name} STATIC ${arg_SOURCES})
  target_link_libraries(peregrine_${name} PUBLIC peregrine_options ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
endfunction()

# peregrine_test(NAME SOURCES... [LINK targets...] [LABELS cpu|gpu...])
# makes the program test_NAME and registers each GoogleTest case with CTest.
function(peregrine_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
  if(NOT arg_LABELS)
    set(arg_LABELS cpu)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_executable(test_${name} ${arg_SOURCES} ${PEREGRINE_SANITIZER_SOURCE})
  target_link_libraries(test_${name} PRIVATE peregrine_options peregrine_testing ${arg_LINK})
  gtest_discover_tests(test_${name} TEST_PREFIX ${name}. NO_PRETTY_VALUES DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT})
endfunction()
