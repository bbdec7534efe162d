# The CUDA module, liblamina-cuda.so, which is opened at run time where a device cuda:N is asked for. It is built where
# there is a CUDA compiler and left out, with a sentence, where there is none.
set(LAMINA_CUDA AUTO CACHE STRING "Build the CUDA module: AUTO (where there is a CUDA compiler), ON, OFF")
set(LAMINA_CUDA_ARCHITECTURES 80-real 90 CACHE STRING "GPUs to compile for, as CMAKE_CUDA_ARCHITECTURES")

file(GLOB LAMINA_KERNELS CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/*.cu)
file(GLOB LAMINA_CUDA_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cuda/*.c)

lamina_rows(OUTPUT ${LAMINA_ROWS_DIR}/cuda/engines.inc TYPE lamina_engine PREFIX lamina_cuda_
  FILES ${LAMINA_CUDA_SOURCES})
add_custom_target(lamina_cuda_rows DEPENDS ${LAMINA_ROWS_DIR}/cuda/engines.inc) # for whoever builds the module elsewhere

find_path(LAMINA_CUDA_INCLUDE cuda_runtime.h HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda
  PATH_SUFFIXES include targets/x86_64-linux/include DOC "CUDA's headers")
if(LAMINA_CUDA)
  find_program(LAMINA_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin
    DOC "CUDA's compiler")
endif()
if(LAMINA_CUDA STREQUAL ON AND NOT LAMINA_NVCC)
  message(FATAL_ERROR "LAMINA_CUDA is ON, but there is no nvcc in PATH, $CUDA_HOME/bin or /usr/local/cuda/bin")
elseif(NOT LAMINA_NVCC)
  message(STATUS "No CUDA module: there is no nvcc, or LAMINA_CUDA is OFF")
  return()
endif()

set(CMAKE_CUDA_COMPILER ${LAMINA_NVCC})
set(CMAKE_CUDA_ARCHITECTURES ${LAMINA_CUDA_ARCHITECTURES})
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
enable_language(CXX)
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)
message(STATUS "CUDA module: CUDA ${CUDAToolkit_VERSION}, for ${LAMINA_CUDA_ARCHITECTURES}")

add_library(lamina_cuda MODULE ${LAMINA_KERNELS} ${LAMINA_CUDA_SOURCES})
add_dependencies(lamina_cuda lamina_cuda_rows)
target_include_directories(lamina_cuda PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src
  ${PROJECT_SOURCE_DIR} ${LAMINA_ROWS_DIR})
target_compile_definitions(lamina_cuda PRIVATE _GNU_SOURCE)
target_compile_options(lamina_cuda PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-fvisibility=hidden>)
target_link_libraries(lamina_cuda PRIVATE $<$<COMPILE_LANGUAGE:C>:lamina_warnings> CUDA::cudart_static)
set_target_properties(lamina_cuda PROPERTIES OUTPUT_NAME lamina-cuda C_VISIBILITY_PRESET hidden
  POSITION_INDEPENDENT_CODE ON LINKER_LANGUAGE CXX)
target_link_options(lamina_cuda PRIVATE LINKER:--no-undefined)
