// Spectral pooling: a product with a small complex matrix along each axis whose size changes.
//
//   kernel     good for     launch                               bytes an element   passes    bound by
//   fill       any sizes    a thread an entry of a table         8                  an axis   f64 sines
//   multiply   any sizes    a thread an element that comes out   type or 8, each    an axis   loads from the L1 cache
//
// Only the first pass reads real numbers and only the last writes them. Forward begins at the last axis and backward at the
// first, so that what lies between is small. Neighbouring threads read neighbouring entries of the table (along the last
// axis) or neighbouring elements (along the others).
#include "spectral_pool.h"

#include <algorithm>

#include "kit.h"

namespace {

struct complex {
  float re, im;
};
__device__ complex load(float v) { return {v, 0}; }
__device__ complex load(bf16 v) { return {to_f32(v), 0}; }
__device__ complex load(f16 v) { return {to_f32(v), 0}; }
__device__ complex load(complex v) { return v; }
__device__ void store(complex *to, complex v) { *to = v; }
template <class T> __device__ void store(T *to, complex v) { *to = as<T>(v.re); }

constexpr double pi = 3.14159265358979323846;

// What element h of the wide axis (n) adds to element o of the narrow one (m):
//   1/sqrt(m n) * sum over k = -floor(m/2) … ceil(m/2) - 1 of exp(2 pi i k t),  t = o/m - h/n
//   = 1/sqrt(m n) * sin(pi m t) / sin(pi t), times exp(-pi i t) where m is even
// The whole turns of t and of m*t are taken off as integers. table: [in][out], where forward goes from n to m.
__global__ void fill(int n, int m, bool backward, complex *table) {
  const int64_t count = int64_t(n) * m, turn = count;
  for (int64_t i = first_of_grid(); i < count; i += size_of_grid()) {
    const int64_t o = backward ? i / n : i % m, h = backward ? i % n : i / m;
    int64_t t = (o * n - h * m) % turn; // of a turn
    if (t > turn / 2) t -= turn;
    if (t < -(turn / 2)) t += turn;
    const double scale = 1 / sqrt(double(turn)), angle = pi * (double(t) / double(turn));
    const double sum = t == 0 ? double(m) : sin(pi * (double(t % (2 * n)) / double(n))) / sin(angle);
    const double re = m % 2 ? sum : sum * cos(angle), im = m % 2 ? 0 : -sum * sin(angle);
    table[i] = {float(scale * re), float(scale * im)};
  }
}

// y[outer, o, inner] = sum over h of x[outer, h, inner] * table[h, o].
template <class X, class Y>
__global__ void multiply(uint32_t count, int n_in, divider by_out, divider by_inner, const complex *table, const X *x,
                         Y *y) {
  const int64_t inner = by_inner.size;
  for (uint32_t i = uint32_t(first_of_grid()); i < count; i += uint32_t(size_of_grid())) {
    uint32_t outer = i;
    const uint32_t c = by_inner.take(outer), o = by_out.take(outer);
    const X *from = x + int64_t(outer) * n_in * inner + c;
    const complex *entry = table + o;
    complex sum{0, 0};
    for (int h = 0; h < n_in; h++, from += inner, entry += by_out.size) {
      const complex v = load(*from), t = *entry;
      sum.re += v.re * t.re - v.im * t.im;
      sum.im += v.re * t.im + v.im * t.re;
    }
    store(y + i, sum);
  }
}

// ---- Launchers ----------------------------------------------------------------------------------------------------

// The passes: which axis each is along, and the sizes between them.
struct passes {
  int count, axis[3];
  int64_t size[3][3]; // after each
  size_t between;     // the most elements that lie between two passes
  size_t entries;     // of the largest table

  explicit passes(const kernel_spectral_pool &p) : count(0), between(0), entries(0) {
    int64_t size_now[3] = {p.in[0], p.in[1], p.in[2]};
    for (int i = 0; i < 3; i++) {
      const int a = p.backward ? i : 2 - i;
      if (p.in[a] != p.out[a]) axis[count++] = a;
    }
    if (count == 0) axis[count++] = 2; // nothing changes: a product with the identity
    size_t before = 0;                 // elements that the pass before has left
    for (int i = 0; i < count; i++) {
      const int a = axis[i];
      const size_t table = size_t(p.in[a]) * size_t(p.out[a]);
      size_now[a] = p.out[a];
      for (int d = 0; d < 3; d++) size[i][d] = size_now[d];
      between = std::max(between, before);
      before = size_t(p.planes) * size_t(size_now[0] * size_now[1] * size_now[2]);
      entries = std::max(entries, table);
    }
  }
};

template <class X, class Y>
int launch_pass(const kernel_spectral_pool &p, const passes &passes, int i, complex *table, const X *x, Y *y,
                cudaStream_t stream) {
  const int a = passes.axis[i], in = p.in[a], out = p.out[a];
  const int64_t *size = passes.size[i];
  const int64_t count = p.planes * size[0] * size[1] * size[2], inner = a == 2   ? 1
                                                                        : a == 1 ? size[2]
                                                                                 : size[1] * size[2];
  const int error = LAUNCH(fill, blocks_for(int64_t(in) * out), dim3(block_size), 0, stream, p.backward ? out : in,
                           p.backward ? in : out, p.backward, table);
  return error ? error
               : LAUNCH((multiply<X, Y>), blocks_for(count), dim3(block_size), 0, stream, uint32_t(count), in,
                        divider(out), divider(inner), table, x, y);
}

size_t room(size_t n) { return (n + 7) / 8 * 8; } // complex numbers, in whole 64 bytes

} // namespace

size_t kernel_spectral_pool_workspace(const kernel_spectral_pool *p) {
  const passes passes(*p);
  return (room(passes.entries) + (passes.count - 1) * room(passes.between)) * sizeof(complex);
}

int kernel_spectral_pool_run(const kernel_spectral_pool *p, const void *from, void *to, void *workspace,
                             kernel_stream stream) {
  const passes passes(*p);
  complex *const table = static_cast<complex *>(workspace), *const a = table + room(passes.entries);
  complex *const b = a + room(passes.between);
  const int last = passes.count - 1;
  return by_type(p->type, [&](auto element) {
    using T = decltype(element);
    const T *x = static_cast<const T *>(from);
    T *y = static_cast<T *>(to);
    if (last == 0) return launch_pass(*p, passes, 0, table, x, y, stream);
    int error = launch_pass(*p, passes, 0, table, x, a, stream);
    if (!error && last == 2) error = launch_pass(*p, passes, 1, table, a, b, stream);
    if (!error) error = launch_pass(*p, passes, last, table, last == 2 ? b : a, y, stream);
    return error;
  });
}
