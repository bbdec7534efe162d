// Of tests that want a GPU: where there is one they must pass, without one they are left out.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstdlib>

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  if (error == cudaSuccess && devices > 0) return RUN_ALL_TESTS();
  const char *const why = error ? cudaGetErrorString(error) : "no device";
  if (std::getenv("LAMINA_REQUIRE_CUDA")) {
    printf("LAMINA_REQUIRE_CUDA is set, but there is no GPU: %s\n", why);
    return 1;
  }
  printf("skipped: there is no GPU here (%s); where there is one, ctest -R ^cuda_ or scripts/gpu-check runs it\n", why);
  return 77;
}
