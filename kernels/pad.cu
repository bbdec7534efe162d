// Padding and its gradient.
//
//   kernel   good for                     launch                      bytes an element          passes   bound by
//   pad      any shape and strides        256 threads, grid-stride    size of y, and of x       1        memory
//   fold     edge and reflect, dense      256 threads, grid-stride    size of dy, and of dx     1        memory
//
// Each element of y finds its own in x, each one of dx all its own in dy, in a fixed order. Axes without padding are
// merged; where the last one has none, `pad` goes in units of up to 16 bytes.
#include "pad.h"

#include <cstdlib>
#include <cstring>

#include "kit.h"

namespace {

struct axis {
  divider outer, step;
  int32_t inner, before;
  int64_t from, to;
};

struct axes {
  int rank;
  kernel_pad_mode mode;
  axis at[KERNEL_MAX_RANK];
};

// ---- Kernels ------------------------------------------------------------------------------------------------------

template <class T> __global__ void pad(uint32_t n, axes a, T value, const T *x, T *y) {
  for (int64_t i = first_of_grid(); i < n; i += size_of_grid()) {
    uint32_t rest = uint32_t(i);
    int64_t from = 0, to = 0;
    bool inside = true;
    for (int d = a.rank - 1; d >= 0; d--) {
      const axis &s = a.at[d];
      const int32_t c = int32_t(s.outer.take(rest));
      int32_t j = c - s.before;
      to += c * s.to;
      if (j >= 0 && s.step.size > 1) {
        uint32_t whole = uint32_t(j);
        inside &= s.step.take(whole) == 0;
        j = int32_t(whole);
      }
      if (a.mode == KERNEL_PAD_CONSTANT)
        inside &= j >= 0 && j < s.inner;
      else if (a.mode == KERNEL_PAD_EDGE)
        j = j < 0 ? 0 : j < s.inner ? j : s.inner - 1;
      else
        j = j < 0 ? -j : j < s.inner ? j : 2 * (s.inner - 1) - j;
      from += j * s.from;
    }
    y[to] = inside ? x[from] : value;
  }
}

// What came from element c along an axis: `count` elements of dy.
struct copies {
  int32_t first, second, third, count;
  bool run; // they follow each other

  __device__ __forceinline__ int32_t operator()(int32_t k) const {
    return run ? first + k : k == 0 ? first : k == 1 ? second : third;
  }
};

__device__ __forceinline__ copies copies_of(const axis &s, kernel_pad_mode mode, int32_t c) {
  const int32_t own = s.before + c, outer = int32_t(s.outer.size), last = s.inner - 1;
  if (mode == KERNEL_PAD_EDGE) {
    const int32_t begin = c == 0 ? 0 : own, end = c == last ? outer : own + 1;
    return {begin, 0, 0, end - begin, true};
  }
  const int32_t left = own - 2 * c, right = own + 2 * (last - c); // mirrored
  const bool lefts = c > 0 && left >= 0, rights = c < last && right < outer;
  return {own, lefts ? left : right, right, 1 + lefts + rights, false};
}

template <class T> __global__ void fold(uint32_t n, axes a, const T *dy, T *dx) {
  for (int64_t i = first_of_grid(); i < n; i += size_of_grid()) {
    uint32_t terms = 1;
    float sum = 0;
    for (uint32_t t = 0; t < terms; t++) { // the first round counts them
      uint32_t rest = uint32_t(i), which = t, count = 1;
      int64_t from = 0;
      for (int d = a.rank - 1; d >= 0; d--) {
        const axis &s = a.at[d];
        const copies all = copies_of(s, a.mode, int32_t(s.step.take(rest)));
        const uint32_t many = uint32_t(all.count);
        from += all(int32_t(many == 1 ? 0 : which % many)) * s.from;
        if (many > 1) which /= many;
        count *= many;
      }
      terms = count;
      sum += to_f32(dy[from]);
    }
    dx[i] = as<T>(sum);
  }
}

// ---- Launchers ----------------------------------------------------------------------------------------------------

bool whole(const kernel_pad &p, int d) { return p.inner[d] == p.outer[d] && p.before[d] == 0 && p.step[d] == 1; }

void put(kernel_pad &p, int at, const kernel_pad &q, int d) {
  p.outer[at] = q.outer[d], p.inner[at] = q.inner[d], p.before[at] = q.before[d], p.step[at] = q.step[d];
  p.from[at] = q.from[d], p.to[at] = q.to[d];
}

// The axis along which y runs fastest is the last; neighbours without padding are one where both sides allow it.
kernel_pad arrange(const kernel_pad &p) {
  kernel_pad s = p, m = p;
  s.rank = m.rank = 0;
  for (int d = 0; d < p.rank; d++) {
    if (p.outer[d] == 1 && whole(p, d)) continue;
    int at = s.rank++;
    for (; at > 0 && llabs(s.to[at - 1]) < llabs(p.to[d]); at--) put(s, at, s, at - 1);
    put(s, at, p, d);
  }
  for (int d = 0; d < s.rank; d++) {
    const int last = m.rank - 1;
    if (last >= 0 && whole(m, last) && whole(s, d) && m.from[last] == s.from[d] * s.outer[d] &&
        m.to[last] == s.to[d] * s.outer[d]) {
      m.outer[last] *= s.outer[d], m.inner[last] = m.outer[last];
      m.from[last] = s.from[d], m.to[last] = s.to[d];
    } else {
      put(m, m.rank++, s, d);
    }
  }
  return m;
}

// Joins elements of the last axis to units of up to 16 bytes; returns their size.
int widen(kernel_pad &m, const void *x, const void *y) {
  const int last = m.rank - 1;
  const uintptr_t addresses = reinterpret_cast<uintptr_t>(x) | reinterpret_cast<uintptr_t>(y);
  if (last < 0 || !whole(m, last) || m.from[last] != 1 || m.to[last] != 1) return m.size;
  int unit = m.size;
  int64_t all = m.outer[last];
  for (int d = 0; d < last; d++) all |= m.from[d] | m.to[d];
  for (; unit < 16 && all % 2 == 0 && addresses % uintptr_t(2 * unit) == 0; unit *= 2, all /= 2) {
    m.outer[last] /= 2, m.inner[last] /= 2;
    for (int d = 0; d < last; d++) m.from[d] /= 2, m.to[d] /= 2;
  }
  return unit;
}

template <class T> int run_pad(const kernel_pad &m, const void *x, void *y, kernel_stream stream) {
  axes a = {};
  T value;
  int64_t n = 1;
  a.rank = m.rank, a.mode = m.mode;
  for (int d = 0; d < m.rank; d++) {
    a.at[d] = {divider(m.outer[d]), divider(m.step[d]), int32_t(m.inner[d]), int32_t(m.before[d]), m.from[d], m.to[d]};
    n *= m.outer[d];
  }
  for (size_t k = 0; k < sizeof value; k += size_t(m.size))
    memcpy(reinterpret_cast<char *>(&value) + k, &m.value, size_t(m.size));
  return LAUNCH(pad<T>, blocks_for(n), dim3(block_size), 0, stream, uint32_t(n), a, value, static_cast<const T *>(x),
                static_cast<T *>(y));
}

} // namespace

int kernel_pad_forward(const kernel_pad *p, const void *x, void *y, kernel_stream stream) {
  kernel_pad m = arrange(*p);
  switch (widen(m, x, y)) {
  case 1: return run_pad<uint8_t>(m, x, y, stream);
  case 2: return run_pad<uint16_t>(m, x, y, stream);
  case 4: return run_pad<uint32_t>(m, x, y, stream);
  case 8: return run_pad<uint64_t>(m, x, y, stream);
  default: return run_pad<vector<uint32_t>>(m, x, y, stream);
  }
}

int kernel_pad_backward(const kernel_pad *p, kernel_type type, const void *dy, void *dx, kernel_stream stream) {
  kernel_pad dense = *p;
  int64_t from = 1, n = 1;
  for (int d = p->rank - 1; d >= 0; d--) {
    dense.from[d] = from, dense.to[d] = n;
    from *= p->outer[d], n *= p->inner[d];
  }
  const kernel_pad m = arrange(dense);
  axes a = {};
  a.rank = m.rank, a.mode = m.mode;
  for (int d = 0; d < m.rank; d++) // dx's index is divided by its own sizes, in the place of steps
    a.at[d] = {divider(m.outer[d]), divider(m.inner[d]), int32_t(m.inner[d]), int32_t(m.before[d]), m.from[d], m.to[d]};
  return by_type(type, [&](auto element) {
    using T = decltype(element);
    return LAUNCH(fold<T>, blocks_for(n), dim3(block_size), 0, stream, uint32_t(n), a, static_cast<const T *>(dy),
                  static_cast<T *>(dx));
  });
}
