// Operations of a warp: shuffles, votes, reductions, ldmatrix, mma.
#include "scheduler.h"

namespace simt {

void warp_op(unsigned mask, const char *what, void *operand, WarpFn all, const char *file, int line) {
  Thread *me = current;
  Warp &w = block().warps[me->warp];
  if (!(mask >> me->lane & 1))
    fail("%s at %s:%d: the mask %08x lacks the calling lane %u", what, file, line, mask, me->lane);
  if (mask & ~w.live)
    fail("%s at %s:%d: the mask %08x names lanes that have exited or never existed (live: %08x)", what, file, line,
         mask, w.live);
  Collective &c = w.collective[__builtin_ctz(mask)];
  if (!c.have) {
    c.mask = mask;
    c.what = what;
    c.file = file;
    c.line = line;
    c.all = all;
  } else if (c.mask != mask || c.line != line || c.all != all || strcmp(c.what, what)) {
    fail("the lanes of warp %u disagree: %s with mask %08x at %s:%d, but %s with mask %08x at %s:%d", me->warp, what,
         mask, file, line, c.what, c.mask, c.file, c.line);
  }
  c.have |= 1u << me->lane;
  c.lane[me->lane] = operand;
  me->state = BLOCKED;
  if (c.have == mask) {
    c.have = 0;
    if (all)
      all(c.lane, mask);
    else if (mask == w.live)
      w.epoch++;
    const unsigned first = index_of(me) - me->lane;
    for (unsigned m = mask; m; m &= m - 1) make_ready(first + static_cast<unsigned>(__builtin_ctz(m)));
  }
  wait_here(what, file, line);
}

void sync_warp(unsigned mask, const char *file, int line) { warp_op(mask, "__syncwarp", nullptr, nullptr, file, line); }

void shuffle_lanes(void *const *lanes, unsigned mask) {
  for (unsigned m = mask; m; m &= m - 1) {
    const int i = __builtin_ctz(m);
    ShuffleArg &a = *static_cast<ShuffleArg *>(lanes[i]);
    const int first = i & ~(a.width - 1);
    int from = i;
    switch (a.how) {
    case Shuffle::index: from = first + (a.lane & (a.width - 1)); break;
    case Shuffle::xor_: from = (i ^ a.lane) < first + a.width ? i ^ a.lane : i; break;
    case Shuffle::up: from = i - a.lane >= first ? i - a.lane : i; break;
    case Shuffle::down: from = i + a.lane < first + a.width ? i + a.lane : i; break;
    }
    // Undefined where that lane takes no part.
    a.out = mask >> from & 1 ? static_cast<ShuffleArg *>(lanes[from])->in : 0xDEADBEEFDEADBEEFull;
  }
}

namespace {

struct BallotArg {
  bool yes;
  unsigned out;
};
struct ReduceArg {
  Reduce how;
  bool is_signed;
  uint32_t in, out;
};

uint32_t reduced(const ReduceArg &arg, uint32_t a, uint32_t b) {
  const bool less = arg.is_signed ? static_cast<int32_t>(a) < static_cast<int32_t>(b) : a < b;
  switch (arg.how) {
  case Reduce::add: return a + b;
  case Reduce::min: return less ? a : b;
  case Reduce::max: return less ? b : a;
  case Reduce::and_: return a & b;
  case Reduce::or_: return a | b;
  case Reduce::xor_: break;
  }
  return a ^ b;
}

} // namespace

unsigned ballot(unsigned mask, bool yes, const char *what, const char *file, int line) {
  BallotArg arg{yes, 0};
  const auto all = [](void *const *lanes, unsigned named) {
    unsigned votes = 0;
    for (unsigned m = named; m; m &= m - 1)
      votes |= static_cast<unsigned>(static_cast<BallotArg *>(lanes[__builtin_ctz(m)])->yes) << __builtin_ctz(m);
    for (unsigned m = named; m; m &= m - 1) static_cast<BallotArg *>(lanes[__builtin_ctz(m)])->out = votes;
  };
  warp_op(mask, what, &arg, all, file, line);
  return arg.out;
}

uint32_t reduce(unsigned mask, Reduce how, bool is_signed, uint32_t value, const char *file, int line) {
  ReduceArg arg{how, is_signed, value, 0};
  const auto all = [](void *const *lanes, unsigned named) {
    const ReduceArg &first = *static_cast<ReduceArg *>(lanes[__builtin_ctz(named)]);
    uint32_t result = first.in;
    for (unsigned m = named & (named - 1); m; m &= m - 1)
      result = reduced(first, result, static_cast<ReduceArg *>(lanes[__builtin_ctz(m)])->in);
    for (unsigned m = named; m; m &= m - 1) static_cast<ReduceArg *>(lanes[__builtin_ctz(m)])->out = result;
  };
  warp_op(mask, "__reduce_sync", &arg, all, file, line);
  return arg.out;
}

// ---- ldmatrix -------------------------------------------------------------------------------------------------------
namespace {

struct LdmatrixArg {
  uint16_t row[8];
  uint32_t *r;
  int matrices;
  bool transposed;
};

void ldmatrix_lanes(void *const *lanes, unsigned) {
  const auto arg = [&](int lane) { return static_cast<LdmatrixArg *>(lanes[lane]); };
  const int matrices = arg(0)->matrices;
  for (int lane = 0; lane < 32; lane++)
    for (int q = 0; q < matrices; q++) {
      const auto at = [&](int r, int c) { return uint32_t{arg(q * 8 + r)->row[c]}; };
      const int r = lane / 4, c = lane % 4 * 2;
      arg(lane)->r[q] = arg(lane)->transposed ? at(c, r) | at(c + 1, r) << 16 : at(r, c) | at(r, c + 1) << 16;
    }
}

} // namespace

void ldmatrix(uint32_t *r, const void *row, int matrices, bool transposed, const char *file, int line) {
  LdmatrixArg arg{{}, r, matrices, transposed};
  if (static_cast<int>(current->lane) < 8 * matrices) {
    shared_offset(row);
    if (reinterpret_cast<uintptr_t>(row) & 15) fail("ldmatrix at %s:%d: a row is not aligned to 16 bytes", file, line);
    note(row, 16, Access::read, __builtin_return_address(0));
    memcpy(arg.row, row, 16);
  }
  warp_op(~0u, "ldmatrix", &arg, ldmatrix_lanes, file, line);
}

// ---- mma ------------------------------------------------------------------------------------------------------------
namespace {

struct MmaArg {
  float *d;
  const uint32_t *a, *b;
  const float *c;
};

float from_bits(uint32_t u) {
  float f;
  memcpy(&f, &u, 4);
  return f;
}
float from_bf16(uint32_t u) { return from_bits(u << 16); }
float from_f16(uint32_t u) {
  __half_raw raw;
  raw.x = static_cast<uint16_t>(u);
  return __half2float(__half(raw));
}
float from_tf32(uint32_t u) { return from_bits(u & 0xffffe000u); } // the tensor core drops the low bits

// d[16, 8] = a[16, K] · b[K, 8] + c. The accumulators of a lane: rows lane/4 and lane/4 + 8, columns 2·(lane%4) + 0, 1.
template <int K> void multiply(void *const *lanes, const float (&a)[16][K], const float (&b)[K][8]) {
  float d[16][8];
  for (int lane = 0; lane < 32; lane++) {
    const float *c = static_cast<MmaArg *>(lanes[lane])->c;
    for (int i = 0; i < 4; i++) d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2] = c[i];
  }
  for (int m = 0; m < 16; m++)
    for (int k = 0; k < K; k++)
      for (int n = 0; n < 8; n++) d[m][n] += a[m][k] * b[k][n];
  for (int lane = 0; lane < 32; lane++) {
    float *out = static_cast<MmaArg *>(lanes[lane])->d;
    for (int i = 0; i < 4; i++) out[i] = d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
  }
}

// Two numbers a register: a's go over rows +0, +8, then columns +8; b's over rows +0, +8.
template <float (*value)(uint32_t)> void mma_16_lanes(void *const *lanes, unsigned) {
  float a[16][16], b[16][8];
  for (int lane = 0; lane < 32; lane++) {
    const MmaArg &arg = *static_cast<MmaArg *>(lanes[lane]);
    const int g = lane / 4, t = lane % 4 * 2;
    for (int h = 0; h < 2; h++) {
      for (int i = 0; i < 4; i++) a[g + i % 2 * 8][t + i / 2 * 8 + h] = value(arg.a[i] >> 16 * h & 0xffff);
      for (int i = 0; i < 2; i++) b[t + i * 8 + h][g] = value(arg.b[i] >> 16 * h & 0xffff);
    }
  }
  multiply<16>(lanes, a, b);
}

void mma_tf32_lanes(void *const *lanes, unsigned) {
  float a[16][8], b[8][8];
  for (int lane = 0; lane < 32; lane++) {
    const MmaArg &arg = *static_cast<MmaArg *>(lanes[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; i++) a[g + i % 2 * 8][t + i / 2 * 4] = from_tf32(arg.a[i]);
    for (int i = 0; i < 2; i++) b[t + i * 4][g] = from_tf32(arg.b[i]);
  }
  multiply<8>(lanes, a, b);
}

} // namespace

void mma(Mma kind, float *d, const uint32_t *a, const uint32_t *b, const float *c, const char *file, int line) {
  MmaArg arg{d, a, b, c};
  switch (kind) {
  case Mma::bf16: return warp_op(~0u, "mma.m16n8k16.bf16", &arg, mma_16_lanes<from_bf16>, file, line);
  case Mma::f16: return warp_op(~0u, "mma.m16n8k16.f16", &arg, mma_16_lanes<from_f16>, file, line);
  case Mma::tf32: return warp_op(~0u, "mma.m16n8k8.tf32", &arg, mma_tf32_lanes, file, line);
  }
}

} // namespace simt
