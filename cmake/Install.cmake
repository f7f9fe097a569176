# cmake --install BUILD [--prefix /usr]: the programs, what they read, and their systemd units, which name the prefix.
include(GNUInstallDirs)
install(TARGETS nuraghe nuraghed vhcd bpel nuraghe-shim nuraghe-switch RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${CMAKE_BINARY_DIR}/contracts ${CMAKE_BINARY_DIR}/workflows DESTINATION share/nuraghe)
install(FILES docs/units.md DESTINATION share/doc/nuraghe)
install(CODE "
  execute_process(COMMAND /usr/bin/python3 ${CMAKE_SOURCE_DIR}/tools/generate_units.py
    --prefix \${CMAKE_INSTALL_PREFIX} --out ${CMAKE_BINARY_DIR}/units COMMAND_ERROR_IS_FATAL ANY)")
install(FILES ${CMAKE_BINARY_DIR}/units/nuraghed.service ${CMAKE_BINARY_DIR}/units/vhcd.service DESTINATION lib/systemd/system)
install(FILES ${CMAKE_BINARY_DIR}/units/nuraghe.conf DESTINATION lib/sysusers.d)
