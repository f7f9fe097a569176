# A room is one folder of src/: a static library `room_NAME` made of its .cpp and .S files, and, beside them, its unit tests
# (*_test.cpp), which become the program `test_NAME` and one ctest entry per test case with the label `unit`.
#
#   nuraghe_room(NAME [ROOMS lower rooms...] [LINK third-party libraries...] [TEST_TOGETHER WHAT PATTERN])
#
# A room links only rooms of lower floors (ARCHITECTURE.md lists them); tools/check-house verifies the includes.
function(nuraghe_room name)
  cmake_parse_arguments(ARG "" "" "ROOMS;LINK;TEST_ROOMS;TEST_LINK;TEST_TOGETHER" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp ${CMAKE_CURRENT_SOURCE_DIR}/*.S)
  file(GLOB_RECURSE tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp)
  if(tests)
    list(REMOVE_ITEM sources ${tests})
  endif()
  list(TRANSFORM ARG_ROOMS PREPEND room_)
  list(TRANSFORM ARG_TEST_ROOMS PREPEND room_)
  if(sources)
    add_library(room_${name} STATIC ${sources})
    target_include_directories(room_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src ${CMAKE_BINARY_DIR}/generated)
    target_link_libraries(room_${name} PUBLIC ${ARG_ROOMS} PRIVATE ${ARG_LINK})
  else()
    add_library(room_${name} INTERFACE)
    target_include_directories(room_${name} INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_BINARY_DIR}/generated)
    target_link_libraries(room_${name} INTERFACE ${ARG_ROOMS} ${ARG_LINK})
  endif()
  if(tests AND NURAGHE_TESTS)
    nuraghe_test(test_${name} LABELS unit SOURCES ${tests} ROOMS ${name} ${ARG_TEST_ROOMS} LINK ${ARG_TEST_LINK}
                 TOGETHER ${ARG_TEST_TOGETHER})
  endif()
endfunction()

# nuraghe_test(NAME LABELS labels... SOURCES files... ROOMS rooms... [LINK libraries...] [TOGETHER WHAT PATTERN]): a
# GoogleTest program, with one ctest entry per test case. Those whose names match PATTERN are one entry, NAME.WHAT: they
# share something that takes long to start.
function(nuraghe_test name)
  cmake_parse_arguments(ARG "" "" "LABELS;SOURCES;ROOMS;LINK;TOGETHER" ${ARGN})
  find_package(GTest REQUIRED)
  include(GoogleTest)
  list(TRANSFORM ARG_ROOMS REPLACE "^room_" "")
  list(TRANSFORM ARG_ROOMS PREPEND room_)
  add_executable(${name} ${ARG_SOURCES})
  # Tests name their helpers alike, and their own code need not be fast.
  set_target_properties(${name} PROPERTIES UNITY_BUILD OFF)
  target_compile_options(${name} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-O1>)
  target_include_directories(${name} PRIVATE ${CMAKE_BINARY_DIR}/generated)
  target_link_libraries(${name} PRIVATE ${ARG_ROOMS} ${ARG_LINK} GTest::gmock GTest::gtest_main)
  set(filter)
  if(ARG_TOGETHER)
    list(GET ARG_TOGETHER 0 what)
    list(GET ARG_TOGETHER 1 pattern)
    set(filter TEST_FILTER "-${pattern}")
    add_test(NAME ${name}.${what} COMMAND ${name} "--gtest_filter=${pattern}")
    set_tests_properties(${name}.${what} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 300)
  endif()
  gtest_discover_tests(${name} ${filter} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 TEST_PREFIX ${name}. PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 300)
endfunction()
