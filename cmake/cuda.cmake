# The CUDA module, liblamina-cuda.so, which is opened at run time where a device cuda:N is asked for. It is built where
# there is a CUDA compiler that works and left out, with a sentence, where there is none.
set(LAMINA_CUDA AUTO CACHE STRING "Build the CUDA module: AUTO (where there is a CUDA compiler that works), ON, OFF")
# 80-real: machine code for sm_80 (A100); 90: the same for sm_90 (H100), and PTX, of which the driver makes code for what is
# newer. The developers' presets build 90 only.
set(LAMINA_CUDA_ARCHITECTURES 80-real 90 CACHE STRING "GPUs to compile for, as CMAKE_CUDA_ARCHITECTURES")

# What is wrong with this nvcc: "" where it compiles and links for the newest of the architectures.
function(lamina_try_nvcc nvcc result)
  set(folder ${PROJECT_BINARY_DIR}/CMakeFiles/try_nvcc)
  file(WRITE ${folder}/try.cu "#include <cuda_runtime.h>
#if CUDART_VERSION < 12000
#error \"CUDA 12.0 or later is needed\"
#endif
__global__ void kernel() {}
int main() { kernel<<<1, 1>>>(); }\n")
  list(GET LAMINA_CUDA_ARCHITECTURES -1 architecture)
  string(REGEX MATCH "^[0-9]+[a-z]?" architecture "${architecture}")
  if(architecture)
    set(architecture -arch=sm_${architecture})
  endif()
  execute_process(COMMAND ${nvcc} -std=c++17 ${architecture} -o ${folder}/try ${folder}/try.cu
    RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
  set(reason "")
  if(NOT status EQUAL 0)
    string(REGEX MATCH "[^\n]*([Ee]rror|[Ff]atal|#error)[^\n]*" reason "${said}")
    if(NOT reason)
      set(reason "it ends with ${status}: ${said}")
    endif()
  endif()
  set(${result} "${reason}" PARENT_SCOPE)
endfunction()

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
elseif(NOT LAMINA_CUDA)
  message(STATUS "No CUDA module: LAMINA_CUDA is OFF")
  return()
elseif(NOT LAMINA_NVCC)
  message(STATUS "No CUDA module: there is no nvcc in PATH, $CUDA_HOME/bin or /usr/local/cuda/bin")
  return()
endif()
if(NOT LAMINA_NVCC_WORKS STREQUAL "${LAMINA_NVCC} ${LAMINA_CUDA_ARCHITECTURES}")
  lamina_try_nvcc(${LAMINA_NVCC} reason)
  if(reason AND LAMINA_CUDA STREQUAL ON)
    message(FATAL_ERROR "LAMINA_CUDA is ON, but ${LAMINA_NVCC} doesn't work: ${reason}")
  elseif(reason)
    message(STATUS "No CUDA module: ${LAMINA_NVCC} doesn't work: ${reason}")
    return()
  endif()
  set(LAMINA_NVCC_WORKS "${LAMINA_NVCC} ${LAMINA_CUDA_ARCHITECTURES}" CACHE INTERNAL "nvcc that was tried, and for what")
endif()

set(CMAKE_CUDA_COMPILER ${LAMINA_NVCC})
set(CMAKE_CUDA_ARCHITECTURES ${LAMINA_CUDA_ARCHITECTURES})
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
enable_language(CXX)
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)
string(REPLACE ";" ", " architectures "${LAMINA_CUDA_ARCHITECTURES}")
message(STATUS "CUDA module: CUDA ${CUDAToolkit_VERSION}, for ${architectures} (LAMINA_CUDA_ARCHITECTURES; -real: without PTX "
  "for newer GPUs)")

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

# The same for programs that are linked statically: no dlopen, and no other name than its entry's.
lamina_static_module(lamina_cuda_static OBJECTS $<TARGET_OBJECTS:lamina_cuda>)
add_library(Lamina::lamina_cuda_static ALIAS lamina_cuda_static)
target_link_libraries(lamina_cuda_static INTERFACE $<BUILD_INTERFACE:lamina_static> $<BUILD_INTERFACE:CUDA::cudart_static>)
set_target_properties(lamina_cuda_static PROPERTIES OUTPUT_NAME lamina-cuda)
