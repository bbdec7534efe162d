/* What the oneDNN engines share.
 *
 * An engine row's `user` is a recipe: which of oneDNN's tensors each argument is, which layouts are worth trying, and
 * how the primitive is described. From it candidates, prepare, run and release are written once:
 *
 *   inputs ─ reorder where the primitive wants another layout or type ─ primitive ─ reorder back ─ outputs
 *   workspace: [ scratchpad of whichever runs | copy of one tensor | copy of the next | … ], each 64-byte aligned
 *
 * Tensors may be in blocks of ours, which are oneDNN's, too; where a layout is left open it is the one that the primitive
 * wants, if ours can say it, so that nothing is reordered.
 *
 * A filter that is flipped is one to be turned, which oneDNN can't: it passes through a copy of its own on its way.
 *
 * A variant is LAYOUT/IMPLEMENTATION, the latter as oneDNN names it: "blocked/jit:avx512_core". Of each layout its first
 * choice is offered, and what follows it for the same instruction set. What it names "ref" is refused. Mixed f32 and
 * bf16 are computed in f32; where all factors are bf16, oneDNN's bf16 kernels are offered and, as LAYOUT_f32, its f32
 * kernels (products of bf16 are exact in f32 either way).
 *
 * Primitives are immutable and keep nothing between runs, so a plan runs on many threads at once. oneDNN's gemm packs
 * its operands in memory that it takes by itself; nothing else is allocated in a run but some hundred bytes for each
 * tensor's handle. oneDNN's global settings are left alone. */
#ifndef LAMINA_CPU_ONEDNN_BASE_H
#define LAMINA_CPU_ONEDNN_BASE_H

#include <oneapi/dnnl/dnnl.h>

#include "cpu/cpu.h"

enum { LAMINA_ONEDNN_ARGS = 5 };

/* The order of a tensor's axes in memory. */
typedef enum lamina_onednn_order {
  LAMINA_ONEDNN_GIVEN, /* as the problem has it */
  LAMINA_ONEDNN_PLAIN, /* row-major: N C H W */
  LAMINA_ONEDNN_LAST,  /* channels fastest: N H W C */
  LAMINA_ONEDNN_FREE   /* oneDNN chooses */
} lamina_onednn_order;

typedef struct lamina_onednn_layout {
  const char *name; /* NULL ends the list */
  lamina_onednn_order data, filter;
  bool winograd; /* a convolution by Winograd's algorithm */
} lamina_onednn_layout;

/* One attempt at a primitive. The recipe's `describe` fills in what it says. */
typedef struct lamina_onednn_setup {
  const lamina_problem *problem;
  const lamina_onednn_layout *layout;
  const lamina_device *device;
  dnnl_engine_t engine;
  dnnl_primitive_attr_t attr; /* the scratchpad is ours */
  /* in the row's order; ndims 0: absent. `wanted` goes in as layout says and comes out as the primitive wants it */
  dnnl_memory_desc_t given[LAMINA_ONEDNN_ARGS], wanted[LAMINA_ONEDNN_ARGS];
  dnnl_memory_desc_t asked[LAMINA_ONEDNN_ARGS]; /* `given`, with the layouts that were left open row-major */
  lamina_desc chosen[LAMINA_ONEDNN_ARGS];       /* the problem's, with the layouts that were left open */
  union {                                       /* filled by describe: what oneDNN is asked for */
    dnnl_convolution_desc_t conv;
    dnnl_deconvolution_desc_t deconv;
    dnnl_inner_product_desc_t fc;
    dnnl_matmul_desc_t matmul;
    dnnl_pooling_desc_t pool;
    dnnl_eltwise_desc_t eltwise;
  } ask;
  dnnl_primitive_desc_t hint; /* the forward pass that a backward pass belongs to, where oneDNN wants it; by describe */
  dnnl_primitive_desc_iterator_t list; /* oneDNN's implementations of what was asked for */
  dnnl_primitive_desc_t primitive;     /* the one where the list stands */
  bool flipped[LAMINA_ONEDNN_ARGS];    /* `given` is the dense copy then */
  bool clear_scratchpad;               /* before each run; set by describe */
  const char *impl;                    /* oneDNN's name of the implementation */
} lamina_onednn_setup;

typedef enum lamina_onednn_kind {
  LAMINA_ONEDNN_DATA,
  LAMINA_ONEDNN_FILTER,
  LAMINA_ONEDNN_BIAS /* a vector that is added: its type decides nothing */
} lamina_onednn_kind;

/* What an argument is to oneDNN, in the row's order. */
typedef struct lamina_onednn_bind {
  int slot; /* DNNL_ARG_SRC …; 0 ends the list */
  lamina_onednn_kind kind;
} lamina_onednn_bind;

typedef struct lamina_onednn_recipe {
  lamina_onednn_bind bind[LAMINA_ONEDNN_ARGS + 1];
  lamina_onednn_layout layouts[5];
  /* Another reason to refuse than types and sizes, or NULL. May itself be NULL. */
  const char *(*refuse)(const lamina_problem *problem);
  /* Is the argument a filter that is flipped on its spatial axes? NULL: none is. */
  bool (*flipped)(const lamina_problem *problem, int arg);
  /* Changes an argument's shape to what oneDNN calls it (grouped filters have an axis more). NULL: no change. */
  void (*view)(const lamina_problem *problem, int arg, lamina_desc *desc);
  /* The reverse, of a shape whose layout oneDNN chose; false where ours can't say it. NULL: it never can. */
  bool (*unview)(const lamina_problem *problem, int arg, lamina_desc *desc);
  dnnl_status_t (*describe)(lamina_onednn_setup *setup);
  /* Estimated seconds of the primitive itself; reorders and overhead are added to it. */
  double (*seconds)(const lamina_onednn_setup *setup);
  /* How the implementation rounds, where it isn't as f32 sums do. NULL: they all do. */
  void (*numerics)(const lamina_onednn_setup *setup, lamina_numerics *numerics);
} lamina_onednn_recipe;

/* The row's functions. */
void lamina_onednn_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                              lamina_candidate_fn *each, void *context);
lamina_status lamina_onednn_prepare(lamina_plan *plan);
lamina_status lamina_onednn_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                lamina_stream *stream);
void lamina_onednn_release(lamina_plan *plan);

/* An engine's row: `op` by a recipe. */
#define LAMINA_ONEDNN_ENGINE(op_, recipe, strides_)                                                                    \
  .size = sizeof(lamina_engine), .abi = LAMINA_ENGINE_ABI, .device = "cpu", .name = "onednn", .op = (op_),             \
  .user = (void *)&(recipe), .strides = (strides_), .candidates = lamina_onednn_candidates,                            \
  .prepare = lamina_onednn_prepare, .run = lamina_onednn_run, .release = lamina_onednn_release

/* A status of oneDNN as ours, with a sentence. */
lamina_status lamina_onednn_status(dnnl_status_t status, const char *op, const char *what);
/* FLOP/s that the setup's implementation may reach with all its threads. */
double lamina_onednn_rate(const lamina_onednn_setup *setup);
/* Seconds that moving so many bytes takes. */
double lamina_onednn_moving(const lamina_onednn_setup *setup, double bytes);
double lamina_onednn_bytes(const dnnl_memory_desc_t *desc);

#endif
