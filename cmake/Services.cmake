# nuraghe_services(SOURCES_VARIABLE DEFINITIONS files... CODE folder CONTRACTS folder
#                  [COMMON folder COMMON_FILES files...] [KNOWN files...] [EMBED file] [CATALOGUE file [CATALOGUE_FUNCTION name]])
#
# Runs tools/generate_service.py over a set of service definitions at build time and sets the variable to the C++ files
# that it makes: CODE/NAME.hpp and CODE/NAME.cpp of every NAME.service.xml, EMBED and CATALOGUE,
# whose table nuraghe::contracts::CATALOGUE_FUNCTION() answers (all_services() without it: Nuraghe's own). WSDL and XSD go to CONTRACTS.
# KNOWN definitions may be imported; no code is made of them.
function(nuraghe_services sources_variable)
  cmake_parse_arguments(ARG "" "CODE;CONTRACTS;COMMON;EMBED;CATALOGUE;CATALOGUE_FUNCTION" "DEFINITIONS;COMMON_FILES;KNOWN" ${ARGN})
  set(tools ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../tools)
  file(GLOB templates CONFIGURE_DEPENDS ${tools}/templates/*.j2)
  set(sources "")
  set(texts "")
  foreach(definition ${ARG_DEFINITIONS})
    get_filename_component(file ${definition} NAME)
    string(REPLACE ".service.xml" "" name ${file})
    list(APPEND sources ${ARG_CODE}/${name}.hpp ${ARG_CODE}/${name}.cpp)
    list(APPEND texts ${ARG_CONTRACTS}/${name}.wsdl ${ARG_CONTRACTS}/${name}.xsd)
  endforeach()
  foreach(file ${ARG_COMMON_FILES})
    file(RELATIVE_PATH name ${ARG_COMMON} ${file})
    list(APPEND texts ${ARG_CONTRACTS}/${name})
  endforeach()
  list(APPEND texts ${ARG_CONTRACTS}/openapi.json)
  set(options --code ${ARG_CODE} --contracts ${ARG_CONTRACTS})
  if(ARG_COMMON)
    list(APPEND options --common ${ARG_COMMON})
  endif()
  if(ARG_KNOWN)
    foreach(file ${ARG_KNOWN})
      list(APPEND options --known ${file})
    endforeach()
  endif()
  if(ARG_EMBED)
    list(APPEND options --embed ${ARG_EMBED})
    list(APPEND sources ${ARG_EMBED})
  endif()
  if(ARG_CATALOGUE)
    list(APPEND options --catalogue ${ARG_CATALOGUE})
    if(ARG_CATALOGUE_FUNCTION)
      list(APPEND options --catalogue-function ${ARG_CATALOGUE_FUNCTION})
    endif()
    list(APPEND sources ${ARG_CATALOGUE})
  endif()
  add_custom_command(
    OUTPUT ${sources} ${texts}
    COMMAND /usr/bin/python3 ${tools}/generate_service.py ${options} ${ARG_DEFINITIONS}
    DEPENDS ${ARG_DEFINITIONS} ${ARG_COMMON_FILES} ${templates} ${tools}/generate_service.py
            ${tools}/service_definition.py ${tools}/service_doors.py ${tools}/openapi.py ${tools}/../contracts/service.xsd ${ARG_KNOWN}
    COMMENT "Making WSDL, XSD and C++ of the service definitions"
    VERBATIM)
  set(${sources_variable} ${sources} PARENT_SCOPE)
endfunction()
