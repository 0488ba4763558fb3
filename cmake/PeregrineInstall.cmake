# The library for other programs: libperegrine.so, its headers, and peregrine::peregrine for find_package.
# Internal libraries are folded in; what they need stays private, so a consumer needs none of it to compile.
include(CMakePackageConfigHelpers)

# All of core's objects: the public types live there, and nothing inside the library may call some of them.
add_library(peregrine SHARED ${PROJECT_SOURCE_DIR}/src/pipeline/run.cc $<TARGET_OBJECTS:peregrine_core>)
add_library(peregrine::peregrine ALIAS peregrine)
target_link_libraries(peregrine PRIVATE peregrine_pipeline peregrine_core)
target_include_directories(peregrine PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                            $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(peregrine PUBLIC cxx_std_20)
set_target_properties(peregrine PROPERTIES
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR} LINKER_LANGUAGE CXX)

# OpenVINO's wheel is in no system folder: its libraries travel with the installation.
get_target_property(openvino_library openvino::runtime IMPORTED_LOCATION_RELEASE)
get_filename_component(openvino_libraries ${openvino_library} DIRECTORY)
set(peregrine_private_libraries ${CMAKE_INSTALL_LIBDIR}/peregrine)
set_target_properties(peregrine peregrine_cli PROPERTIES
  INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR};$ORIGIN/../${peregrine_private_libraries};$ORIGIN/peregrine")

install(TARGETS peregrine EXPORT peregrine-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS peregrine_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/peregrine DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${openvino_libraries}/ DESTINATION ${peregrine_private_libraries} FILES_MATCHING
  PATTERN "libopenvino.so*" PATTERN "libopenvino_intel_cpu_plugin.so" PATTERN "libopenvino_onnx_frontend.so*"
  PATTERN "libtbb*.so*" PATTERN "libhwloc.so*")
install(EXPORT peregrine-targets NAMESPACE peregrine:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/peregrine)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/peregrine-config-version.cmake COMPATIBILITY SameMinorVersion)
file(WRITE ${PROJECT_BINARY_DIR}/peregrine-config.cmake
  "include(\${CMAKE_CURRENT_LIST_DIR}/peregrine-targets.cmake)\n")
install(FILES ${PROJECT_BINARY_DIR}/peregrine-config.cmake ${PROJECT_BINARY_DIR}/peregrine-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/peregrine)
