# What is installed, where (GNUInstallDirs), in three components:
#   runtime       liblamina.so.N, and liblamina-cuda.so beside it where it was built
#   development   headers, liblamina.so, liblamina.a, lamina.pc, the CMake package; where there is a CUDA module, also as
#                 liblamina-cuda.a with lamina-cuda.pc
#   command       lamina, its recipes and manual page
# Whatever is installed may be moved as a whole: all paths between its files are relative, unless an absolute folder was
# given.
include(CMakePackageConfigHelpers)

# From one installed folder to another: relative where both lie under the prefix, else the absolute path.
function(lamina_path_between from to result)
  cmake_path(IS_ABSOLUTE CMAKE_INSTALL_${from} from_absolute)
  cmake_path(IS_ABSOLUTE CMAKE_INSTALL_${to} to_absolute)
  if(to_absolute OR from_absolute)
    set(path ${CMAKE_INSTALL_FULL_${to}})
  else()
    file(RELATIVE_PATH path ${CMAKE_INSTALL_FULL_${from}} ${CMAKE_INSTALL_FULL_${to}})
  endif()
  set(${result} ${path} PARENT_SCOPE)
endfunction()

# ---- The library ----------------------------------------------------------------------------------------------------
install(TARGETS lamina EXPORT LaminaShared
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT development
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(TARGET lamina_cuda)
  install(TARGETS lamina_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime)
  install(TARGETS lamina_cuda_static EXPORT LaminaCuda
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
  target_link_libraries(lamina_cuda_static
    INTERFACE $<INSTALL_INTERFACE:Lamina::lamina_static> $<INSTALL_INTERFACE:CUDA::cudart_static>
    $<INSTALL_INTERFACE:stdc++>) # parts of it are C++
endif()
install(TARGETS lamina_static EXPORT LaminaStatic
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/lamina DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development
  FILES_MATCHING PATTERN "*.h")

# The CMake package: find_package(Lamina [0.1] [COMPONENTS shared static cuda_static]).
foreach(library ${LAMINA_FOUND_LIBRARIES})
  target_link_libraries(lamina_static PRIVATE $<INSTALL_INTERFACE:Lamina::${library}>)
endforeach()
foreach(library ${LAMINA_SYSTEM_LIBRARIES})
  target_link_libraries(lamina_static PRIVATE $<INSTALL_INTERFACE:${library}>)
endforeach()
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/Lamina)
configure_package_config_file(cmake/LaminaConfig.cmake.in ${PROJECT_BINARY_DIR}/cmake/LaminaConfig.cmake
  INSTALL_DESTINATION ${package} NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmake/LaminaConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/cmake/LaminaConfig.cmake ${PROJECT_BINARY_DIR}/cmake/LaminaConfigVersion.cmake
  DESTINATION ${package} COMPONENT development)
set(sets LaminaShared LaminaStatic)
if(TARGET lamina_cuda)
  list(APPEND sets LaminaCuda)
endif()
foreach(set ${sets})
  install(EXPORT ${set} NAMESPACE Lamina:: DESTINATION ${package} COMPONENT development)
endforeach()

# pkg-config.
set(LAMINA_PC_REQUIRES "yaml-0.1 libpng zlib")
set(LAMINA_PC_LIBRARIES "")
foreach(library ${LAMINA_FOUND_LIBRARIES} ${LAMINA_SYSTEM_LIBRARIES})
  if(library STREQUAL "dnnl") # it has no .pc file; a folder of its own must be named
    cmake_path(GET DNNL_LIBRARY PARENT_PATH folder)
    if(NOT folder IN_LIST CMAKE_C_IMPLICIT_LINK_DIRECTORIES)
      string(APPEND LAMINA_PC_LIBRARIES " -L${folder}")
    endif()
  endif()
  if(NOT library MATCHES "^(yaml|png|z)$")
    string(REGEX REPLACE "^-l" "" library ${library})
    string(APPEND LAMINA_PC_LIBRARIES " -l${library}")
  endif()
endforeach()
string(STRIP "${LAMINA_PC_LIBRARIES}" LAMINA_PC_LIBRARIES)
cmake_path(IS_ABSOLUTE CMAKE_INSTALL_LIBDIR absolute)
if(absolute)
  set(LAMINA_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
else()
  file(RELATIVE_PATH LAMINA_PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
  string(REGEX REPLACE "/$" "" LAMINA_PC_PREFIX "\${pcfiledir}/${LAMINA_PC_PREFIX}")
endif()
foreach(folder LIBDIR INCLUDEDIR)
  cmake_path(IS_ABSOLUTE CMAKE_INSTALL_${folder} absolute)
  if(absolute)
    set(LAMINA_PC_${folder} ${CMAKE_INSTALL_${folder}})
  else()
    set(LAMINA_PC_${folder} "\${prefix}/${CMAKE_INSTALL_${folder}}")
  endif()
endforeach()
configure_file(cmake/lamina.pc.in ${PROJECT_BINARY_DIR}/cmake/lamina.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cmake/lamina.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
if(TARGET lamina_cuda)
  set(LAMINA_CUDA_LIBRARY_DIR ${CUDAToolkit_LIBRARY_DIR})
  configure_file(cmake/lamina-cuda.pc.in ${PROJECT_BINARY_DIR}/cmake/lamina-cuda.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/cmake/lamina-cuda.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
    COMPONENT development)
endif()

# ---- The command ----------------------------------------------------------------------------------------------------
lamina_path_between(BINDIR LIBDIR libraries)
cmake_path(IS_RELATIVE libraries relative)
if(relative)
  set(libraries "$ORIGIN/${libraries}")
endif()
set_target_properties(lamina_tool PROPERTIES INSTALL_RPATH ${libraries})
install(TARGETS lamina_tool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT command)

# Its recipes. In the build tree a link beside the command leads to them.
lamina_path_between(BINDIR DATADIR recipes)
target_compile_definitions(lamina_tool PRIVATE LAMINA_RECIPES="${recipes}/lamina/recipes")
install(DIRECTORY recipes DESTINATION ${CMAKE_INSTALL_DATADIR}/lamina COMPONENT command FILES_MATCHING PATTERN "*.yaml")
file(MAKE_DIRECTORY ${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
file(CREATE_LINK ${PROJECT_SOURCE_DIR}/recipes ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/recipes SYMBOLIC)

install(FILES docs/lamina.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT command)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT runtime)
