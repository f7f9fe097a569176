# nuraghe_service_program(NAME DEFINITION file SOURCES files...)
#
# A program that hosts one service, defined outside of Nuraghe's tree: code, descriptions, tables and OpenAPI document are
# made of its definition, which may import Nuraghe's own. Install rules: the program and, when it stands in packaging/, its
# systemd unit.
include(${CMAKE_CURRENT_LIST_DIR}/Services.cmake)
include(GNUInstallDirs)

function(nuraghe_service_program name)
  cmake_parse_arguments(ARG "" "DEFINITION" "SOURCES" ${ARGN})
  set(contracts ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../contracts)
  file(GLOB_RECURSE common CONFIGURE_DEPENDS ${contracts}/*.xsd)
  file(GLOB known CONFIGURE_DEPENDS ${contracts}/*.service.xml)
  set(made ${CMAKE_CURRENT_BINARY_DIR}/made)
  nuraghe_services(sources
    DEFINITIONS ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_DEFINITION}
    KNOWN ${known}
    CODE ${made}/code/contracts
    CONTRACTS ${made}/contracts
    COMMON ${contracts} COMMON_FILES ${common}
    EMBED ${made}/code/embedded.cpp
    CATALOGUE ${made}/code/catalogue.cpp)
  add_executable(${name} ${sources} ${ARG_SOURCES})
  target_compile_definitions(${name} PRIVATE SERVICE_VERSION="${PROJECT_VERSION}")
  target_compile_features(${name} PRIVATE cxx_std_20)
  target_include_directories(${name} PRIVATE ${made}/code ${CMAKE_CURRENT_SOURCE_DIR}/src)
  # Its own texts and tables are found before those of the library: those of Nuraghe's services are not linked.
  target_link_libraries(${name} PRIVATE nuraghe::room_service_program)
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/packaging/${name}.service)
    # It names the program where that is installed.
    install(CODE "
      file(READ \"${CMAKE_CURRENT_SOURCE_DIR}/packaging/${name}.service\" unit)
      string(REPLACE \"ExecStart=/usr/bin/\" \"ExecStart=\${CMAKE_INSTALL_PREFIX}/bin/\" unit \"\${unit}\")
      file(WRITE \"${CMAKE_CURRENT_BINARY_DIR}/${name}.service\" \"\${unit}\")")
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}.service DESTINATION lib/systemd/system)
  endif()
endfunction()
