// Local response normalisation.
//
//   kernel              good for                      launch                       bytes an element   passes   bound by
//   forward<3, 5>       such a window along one axis  a thread a line, or part     x + y              1        memory
//   backward<3, 5>      the same                      a thread a line, or part     x + dy + dx        1        memory
//   sum_along …         any window                    a thread an element          4 or 8 a pass,     an axis  memory
//                                                                                  and x + y          each + 1
//   term, scale, join   after sum_along               a thread an element          up to 4 arrays     1        memory
//
// Along one axis (channels, for AlexNet) a thread goes from element to element with the window in its registers; its
// neighbours have the neighbouring positions. Lines are cut into parts where they are too few to fill the machine, unless
// y is x: a part reads its neighbours' elements. Windows are summed afresh for each element, since a running sum would
// keep the rounding errors of large neighbours.
#include "lrn.h"

#include "kit.h"

namespace {

// s^-beta; the common powers are roots.
__device__ __forceinline__ float power(float s, float beta) {
  if (beta == 0.75f) {
    const float r = rsqrtf(s);
    return r * sqrtf(r);
  }
  return beta == 0.5f ? rsqrtf(s) : beta == 1.0f ? 1 / s : powf(s, -beta);
}

// ---- Along one axis -----------------------------------------------------------------------------------------------

// Lines of n elements that are `inner` apart, cut into parts.
struct lines {
  int n, inner, part; // elements of a part
  uint32_t count;     // lines
  int64_t threads;    // lines x parts
  divider by_count, by_inner;
};

enum { ahead_of_use = 4 }; // loads that a thread keeps under way

// The last N values.
template <int N> struct history {
  float v[N] = {};
  __device__ void push(float x) {
#pragma unroll
    for (int i = 0; i + 1 < N; i++) v[i] = v[i + 1];
    v[N - 1] = x;
  }
  __device__ float oldest() const { return v[0]; }
  __device__ float sum() const {
    float s = v[0];
#pragma unroll
    for (int i = 1; i < N; i++) s += v[i];
    return s;
  }
};

// Calls step(c, values[c]) for c from `begin` to before `end`; what is beyond the line is 0. Arrays of which the values
// come: first + c * inner.
template <class T, class F, class... P>
__device__ __forceinline__ void walk(const lines &l, int64_t first, int begin, int end, F step, const P *...array) {
  for (int c = begin; c < end; c += ahead_of_use) {
    float v[ahead_of_use][sizeof...(P)];
#pragma unroll
    for (int i = 0; i < ahead_of_use; i++) {
      const bool in = c + i >= 0 && c + i < l.n && c + i < end;
      int k = 0;
      ((v[i][k++] = in ? to_f32(array[first + int64_t(c + i) * l.inner]) : 0.0f), ...);
    }
#pragma unroll
    for (int i = 0; i < ahead_of_use; i++)
      if (c + i < end) step(c + i, v[i]);
  }
}

// The part of a line that a thread has.
struct share {
  int64_t first;
  int begin, end;
  __device__ share(const lines &l, int64_t thread) {
    const int part = int(l.by_count.quotient(uint32_t(thread)));
    uint32_t outer = uint32_t(thread) - uint32_t(part) * l.count;
    const uint32_t position = l.by_inner.take(outer);
    first = int64_t(outer) * l.n * l.inner + position;
    begin = part * l.part;
    end = l.n - begin > l.part ? begin + l.part : l.n;
  }
};

template <class T, int SIZE> __global__ void forward(lines l, float scale, float k, float beta, const T *x, T *y) {
  constexpr int back = (SIZE - 1) / 2, ahead = SIZE / 2;
  for (int64_t t = first_of_grid(); t < l.threads; t += size_of_grid()) {
    const share mine(l, t);
    history<SIZE> xs, squares;
    const auto step = [&](int c, const float(&v)[1]) {
      xs.push(v[0]), squares.push(v[0] * v[0]);
      if (c - ahead < mine.begin) return;
      const float s = k + scale * squares.sum();
      y[mine.first + int64_t(c - ahead) * l.inner] = as<T>(xs.v[back] * power(s, beta));
    };
    walk<T>(l, mine.first, mine.begin - back, mine.end + ahead, step, x);
  }
}

// At c: s of j = c - ahead and the term that it adds to the sums of its window turned round; dx of i = j - back.
template <class T, int SIZE>
__global__ void backward(lines l, float scale, float k, float beta, const T *x, const T *dy, T *dx) {
  constexpr int back = (SIZE - 1) / 2, ahead = SIZE / 2;
  for (int64_t t = first_of_grid(); t < l.threads; t += size_of_grid()) {
    const share mine(l, t);
    history<SIZE> xs, squares, terms;
    history<ahead + 1> dys;
    history<back + 1> direct;
    const auto step = [&](int c, const float(&v)[2]) {
      xs.push(v[0]), squares.push(v[0] * v[0]), dys.push(v[1]);
      const float s = k + scale * squares.sum(), p = dys.oldest() * power(s, beta);
      direct.push(p), terms.push(p * xs.v[back] / s);
      const int i = c - ahead - back;
      if (i < mine.begin) return;
      dx[mine.first + int64_t(i) * l.inner] = as<T>(direct.oldest() - 2 * scale * beta * xs.oldest() * terms.sum());
    };
    walk<T>(l, mine.first, mine.begin - (SIZE - 1), mine.end + (SIZE - 1), step, x, dy);
  }
}

// ---- Any windows, one axis after the other ------------------------------------------------------------------------

struct axis {
  int n, inner, back, ahead;
  divider by_n, by_inner;
};

// SQUARE: of the squares.
template <class T, bool SQUARE> __global__ void sum_along(int count, axis a, const T *x, float *y) {
  for (uint32_t i = uint32_t(first_of_grid()); i < uint32_t(count); i += uint32_t(size_of_grid())) {
    uint32_t lines = a.by_inner.quotient(i);
    const int at = int(a.by_n.take(lines));
    const int begin = at < a.back ? -at : -a.back;
    const int end = a.n - at <= a.ahead ? a.n - at : a.ahead + 1;
    float sum = 0;
    for (int w = begin; w < end; w++) {
      const float v = to_f32(x[int64_t(i) + int64_t(w) * a.inner]);
      sum += SQUARE ? v * v : v;
    }
    y[i] = sum;
  }
}

template <class T>
__global__ void scale(int count, float scale, float k, float beta, const float *squares, const T *x, T *y) {
  for (uint32_t i = uint32_t(first_of_grid()); i < uint32_t(count); i += uint32_t(size_of_grid()))
    y[i] = as<T>(to_f32(x[i]) * power(k + scale * squares[i], beta));
}

template <class T>
__global__ void term(int count, float scale, float k, float beta, const float *squares, const T *x, const T *dy,
                     float *terms) {
  for (uint32_t i = uint32_t(first_of_grid()); i < uint32_t(count); i += uint32_t(size_of_grid())) {
    const float s = k + scale * squares[i];
    terms[i] = to_f32(dy[i]) * power(s, beta) * to_f32(x[i]) / s;
  }
}

template <class T>
__global__ void join(int count, float scale, float k, float beta, const float *squares, const float *terms, const T *x,
                     const T *dy, T *dx) {
  for (uint32_t i = uint32_t(first_of_grid()); i < uint32_t(count); i += uint32_t(size_of_grid())) {
    const float direct = to_f32(dy[i]) * power(k + scale * squares[i], beta);
    dx[i] = as<T>(direct - 2 * scale * beta * to_f32(x[i]) * terms[i]);
  }
}

// ---- Launchers ----------------------------------------------------------------------------------------------------

int window_of(const kernel_lrn &l) { return l.back + l.ahead + 1; }
bool in_registers(const kernel_lrn &l) { return l.axes == 1 && (window_of(l) == 3 || window_of(l) == 5); }

// Calls f with the window's size as a constant.
template <class F> int by_size(const kernel_lrn &l, F f) {
  using namespace std;
  return window_of(l) == 3 ? f(integral_constant<int, 3>{}) : f(integral_constant<int, 5>{});
}

lines lines_of(const kernel_lrn &l) {
  const int n = l.n[0], count = l.count / n, wanted = 1 << 18, least = 16;
  const int parts = l.in_place ? 1 : lesser((wanted - 1) / count + 1, (n - 1) / least + 1);
  lines lines{n, l.inner[0], (n + parts - 1) / parts, uint32_t(count), 0, divider(count), divider(l.inner[0])};
  lines.threads = int64_t(count) * ((n + lines.part - 1) / lines.part);
  return lines;
}

axis axis_of(const kernel_lrn &l, int a, bool turned) {
  return {l.n[a],          l.inner[a],         turned ? l.ahead : l.back, turned ? l.back : l.ahead,
          divider(l.n[a]), divider(l.inner[a])};
}

// Sums over windows, of the squares of x, end in `to`; `other` has room for those of one axis. `turned`: of what is in
// `to` itself where the axes are even in number, and else in `other`.
template <class T, bool SQUARE>
int sum_windows(const kernel_lrn &l, const T *x, float *to, float *other, bool turned, cudaStream_t stream) {
  int error = 0;
  for (int a = 0; a < l.axes && !error; a++) {
    float *const y = (l.axes - 1 - a) % 2 ? other : to;
    const float *const before = y == to ? other : to;
    error = a == 0 ? LAUNCH((sum_along<T, SQUARE>), blocks_for(l.count), dim3(block_size), 0, stream, l.count,
                            axis_of(l, a, turned), x, y)
                   : LAUNCH((sum_along<float, false>), blocks_for(l.count), dim3(block_size), 0, stream, l.count,
                            axis_of(l, a, turned), before, y);
  }
  return error;
}

} // namespace

size_t kernel_lrn_workspace(const kernel_lrn *l, bool backward) {
  const size_t array = (size_t(l->count) * sizeof(float) + 63) / 64 * 64;
  return in_registers(*l) ? 0 : array * (backward ? 3 : l->axes > 1 ? 2 : 1);
}

int kernel_lrn_forward(const kernel_lrn *l, const void *x, void *y, float *workspace, kernel_stream stream) {
  return by_type(l->type, [&](auto element) {
    using T = decltype(element);
    const T *from = static_cast<const T *>(x);
    T *to = static_cast<T *>(y);
    if (in_registers(*l)) {
      const lines lines = lines_of(*l);
      return by_size(*l, [&](auto size) {
        return LAUNCH((forward<T, size>), blocks_for(lines.threads), dim3(block_size), 0, stream, lines, l->scale, l->k,
                      l->beta, from, to);
      });
    }
    float *const squares = workspace, *const other = workspace + (size_t(l->count) + 15) / 16 * 16;
    const int error = sum_windows<T, true>(*l, from, squares, other, false, stream);
    return error ? error
                 : LAUNCH((scale<T>), blocks_for(l->count), dim3(block_size), 0, stream, l->count, l->scale, l->k,
                          l->beta, squares, from, to);
  });
}

int kernel_lrn_backward(const kernel_lrn *l, const void *x, const void *dy, void *dx, float *workspace,
                        kernel_stream stream) {
  return by_type(l->type, [&](auto element) {
    using T = decltype(element);
    const T *of_x = static_cast<const T *>(x), *of_dy = static_cast<const T *>(dy);
    T *to = static_cast<T *>(dx);
    if (in_registers(*l)) {
      const lines lines = lines_of(*l);
      return by_size(*l, [&](auto size) {
        return LAUNCH((backward<T, size>), blocks_for(lines.threads), dim3(block_size), 0, stream, lines, l->scale,
                      l->k, l->beta, of_x, of_dy, to);
      });
    }
    const size_t array = (size_t(l->count) + 15) / 16 * 16;
    const dim3 blocks = blocks_for(l->count);
    float *const squares = workspace, *const a = workspace + array, *const b = a + array;
    float *const terms = l->axes % 2 ? b : a; // where their sums are to come: the first pass reads the other array
    int error = sum_windows<T, true>(*l, of_x, squares, a, false, stream);
    if (!error)
      error = LAUNCH((term<T>), blocks, dim3(block_size), 0, stream, l->count, l->scale, l->k, l->beta, squares, of_x,
                     of_dy, a);
    if (!error) error = sum_windows<float, false>(*l, a, terms, terms == a ? b : a, true, stream);
    if (!error)
      error = LAUNCH((join<T>), blocks, dim3(block_size), 0, stream, l->count, l->scale, l->k, l->beta, squares, terms,
                     of_x, of_dy, to);
    return error;
  });
}
