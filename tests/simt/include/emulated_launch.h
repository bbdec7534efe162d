// Typed launches for the emulated device: the arguments are converted to the kernel's parameter types and copied, once;
// the kernel runs later. Free of what the race build would have to know about: files with kernels include this.
#ifndef EMULATED_LAUNCH_H
#define EMULATED_LAUNCH_H

#include <driver_types.h>
#include <stddef.h>

#include <tuple>
#include <type_traits>
#include <utility>
#include <vector_types.h>

namespace emulated {

// A copied argument, for the check of where its pointers point to, and for records.
struct Arg {
  const void *at;
  size_t size;
  bool pointer, integer, integers; // integers: a struct of these and of pointers, without padding
};

template <class A> Arg arg_of(const A &a) {
  return {&a, sizeof a, std::is_pointer_v<A>, std::is_integral_v<A>,
          std::is_class_v<A> && std::has_unique_object_representations_v<A>};
}

struct Launch {
  const char *name;
  const void *kernel;
  dim3 grid, block;
  size_t smem;
  cudaStream_t stream;
  bool cooperative;
  void *call;                    // the kernel with its arguments
  void (*run)(const void *call); // one CUDA thread
  void (*forget)(void *call);    // deletes it
  const Arg *args;
  size_t arg_count;
};
// Queues it; the call is its own from here on.
int submit(const Launch &launch);
// As dev.h does for nvcc: opts in above 48 KiB.
int want_shared(const void *kernel, size_t smem);

template <class... P> struct Call {
  void (*kernel)(P...);
  std::tuple<P...> args;
};

template <class... P>
int launch_call(const char *name, bool cooperative, dim3 grid, dim3 block, size_t smem, cudaStream_t stream,
                Call<P...> *call) {
  const auto args = std::apply(
      [](const auto &...a) {
        struct {
          Arg list[sizeof...(a) + 1];
        } all{{arg_of(a)..., Arg{}}};
        return all;
      },
      call->args);
  return submit({name, reinterpret_cast<const void *>(call->kernel), grid, block, smem, stream, cooperative, call,
                 [](const void *c) {
                   std::apply(static_cast<const Call<P...> *>(c)->kernel, static_cast<const Call<P...> *>(c)->args);
                 },
                 [](void *c) { delete static_cast<Call<P...> *>(c); }, args.list, sizeof...(P)});
}

template <class... P, class... A>
int launch(const char *name, bool cooperative, void (*kernel)(P...), dim3 grid, dim3 block, size_t smem,
           cudaStream_t stream, A... args) {
  static_assert(sizeof...(P) == sizeof...(A), "as many arguments as the kernel has parameters");
  if (const int refused = want_shared(reinterpret_cast<const void *>(kernel), smem)) return refused;
  // Implicit conversions only, as in a call.
  const auto pack = [=](P... p) { return new Call<P...>{kernel, std::tuple<P...>(p...)}; };
  return launch_call(name, cooperative, grid, block, smem, stream, pack(args...));
}

template <class... P, size_t... I> Call<P...> *unpack(void (*kernel)(P...), void **v, std::index_sequence<I...>) {
  return new Call<P...>{kernel, std::tuple<P...>(*static_cast<P *>(v[I])...)};
}

} // namespace emulated

// More special than the toolkit's templates on T *, hence chosen: they know the arguments' types. From C, where a kernel
// is an untyped pointer, these calls are not modelled.
template <class... P>
cudaError_t cudaLaunchKernel(void (*kernel)(P...), dim3 grid, dim3 block, void **args, size_t smem = 0,
                             cudaStream_t stream = nullptr) {
  return static_cast<cudaError_t>(
      emulated::launch_call("cudaLaunchKernel", false, grid, block, smem, stream,
                            emulated::unpack(kernel, args, std::index_sequence_for<P...>{})));
}
template <class... P>
cudaError_t cudaLaunchCooperativeKernel(void (*kernel)(P...), dim3 grid, dim3 block, void **args, size_t smem = 0,
                                        cudaStream_t stream = nullptr) {
  return static_cast<cudaError_t>(
      emulated::launch_call("cudaLaunchCooperativeKernel", true, grid, block, smem, stream,
                            emulated::unpack(kernel, args, std::index_sequence_for<P...>{})));
}

#endif
