/* Engines: a way to run an op on a device. For those who add one: inside the tree, in a program (lamina_engine_register)
 * or in a plug-in (lamina_plugin_load; examples/plugin/ has a whole one).
 *
 * An engine is a row. `candidates` offers variants or says why it can't; `prepare` makes one of them ready; `run` runs
 * it; `release` frees what prepare made. The plan's fields below are what an engine sees and fills. */
#ifndef LAMINA_ENGINE_H
#define LAMINA_ENGINE_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The number of this interface: what lamina_engine.abi must say. */
#define LAMINA_ENGINE_ABI 1u

/** How an engine rounds: from this the verifier derives its tolerance. All zero means f32 sums of unrounded inputs. */
typedef struct lamina_numerics {
  double u_acc;          /**< unit roundoff of the accumulator; 0: that of f32 (of f64 where all floats are f64) */
  double u_in;           /**< of the rounding of inputs before they are multiplied; 0: none */
  bool linear;           /**< the error grows like K, not sqrt(K): truncating accumulators */
  bool inexact_integers; /**< small integers don't stay exact (large Winograd tiles): no EXACT tier */
} lamina_numerics;

/** Which strides and layouts an engine takes. The core packs and unpacks all others through workspace; in place of
 *  LAMINA_LAYOUT_ANY engines other than those of BLOCKED see row-major arguments (SAME: or the others' layout). */
typedef enum lamina_strides {
  LAMINA_STRIDES_ANY,   /**< any strides, no blocks */
  LAMINA_STRIDES_DENSE, /**< every argument row-major without gaps */
  LAMINA_STRIDES_SAME,  /**< all arguments of more than one element have the same dims, layout and strides, without gaps
                               in some order: element by element they are flat memory */
  LAMINA_STRIDES_BLOCKED, /**< any strides and any layout, LAMINA_LAYOUT_ANY included, in whose place `prepare` puts what
                               it chose (into plan->problem; without gaps); what it leaves becomes row-major. The engine
                               itself refuses what it can't */
} lamina_strides;

/** A plan as its engine sees it. The last six fields are for `prepare` to fill in. */
struct lamina_plan {
  lamina_device *device;              /**< that it was made for */
  const lamina_op_def *op;            /**< the op's row */
  lamina_problem problem;             /**< as the engine sees it: packed where its row asks for that; of BLOCKED engines
                                           `prepare` may fill in layouts, and nothing else of it */
  const struct lamina_engine *engine; /**< the engine's row */
  char variant[64];                   /**< which of its candidates was chosen */
  int threads;                        /**< CPU threads that a run may use */
  bool deterministic;                 /**< runs must give the same bits each time */
  /* filled by prepare */
  size_t workspace;         /**< bytes, 64-byte aligned when it comes */
  lamina_numerics numerics; /**< how it rounds */
  int align;      /**< bytes, to 64, that every pointer must be a multiple of; 0: of its element. A problem that doesn't
                       promise it (lamina_desc.align) is refused */
  char note[128]; /**< for people: "jit:avx512_core, weights reordered" */
  void *state;    /**< the engine's own */
};

/** Called by `candidates` for each variant (at most 63 characters) with its estimated seconds, or once with variant NULL
 *  and the reason. */
typedef void lamina_candidate_fn(void *context, const char *variant, double seconds, const char *reason);

/** An engine's row. */
typedef struct lamina_engine {
  uint32_t size, abi;     /**< sizeof(lamina_engine), LAMINA_ENGINE_ABI */
  const char *device;     /**< "cpu", "cuda"; "*" for any */
  const char *name;       /**< "onednn", "kernel/implicit_gemm" */
  const char *op;         /**< "conv/forward"; "*" for any op */
  void *user;             /**< the engine's own; the library doesn't look at it */
  lamina_strides strides; /**< which it takes */
  /** Calls `each` for what it offers. Inputs are never empty, at least one output has elements, shapes and
   *  attributes are valid. */
  void (*candidates)(lamina_device *device, const lamina_problem *problem, const struct lamina_engine *engine,
                     lamina_candidate_fn *each, void *context);
  lamina_status (*prepare)(lamina_plan *plan); /**< NULL: nothing to prepare; may still refuse with UNSUPPORTED */
  /** Runs the plan: puts the work into the stream. From many threads at once, each with workspace of its own. */
  lamina_status (*run)(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream);
  void (*release)(lamina_plan *plan); /**< also called after a prepare that failed; NULL: nothing to free */
} lamina_engine;

/** Adds an engine to a device, after its own; from there on it is chosen, explained, verified and timed as they are, and
 *  LAMINA_ENGINE may name it. The row and its texts must live as long as the device. Only before the device's first plan
 *  or list of candidates, and by one thread. INVALID, with the field and what was expected, for a row that doesn't fit:
 *  another size or ABI, another kind of device, an unknown op, no `candidates` or `run`, a name that is not of letters,
 *  digits and - _ . in parts with / between (63 at most) or that the device has for this op already. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_engine_register(lamina_device *device, const lamina_engine *engine);
/** Loads a plug-in, a shared library that exports lamina_plugin_open (lamina/module.h), and lets it register its engines;
 *  it stays loaded until the device is closed. `path` is a file, relative to the working folder or not; it is never
 *  searched for. Before the first plan, as above. Errors, with the path: IO for what is no library that can be loaded;
 *  INVALID for one without lamina_plugin_open, or that registers nothing; else what the plug-in itself refused with. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_plugin_load(lamina_device *device, const char *path);
/** Engine number `index` of the device; NULL past the last. */
LAMINA_API const lamina_engine *lamina_engine_at(const lamina_device *device, int index);
/** Memory for engines' states, from the device's allocator, 64-byte aligned; NULL when there is none left (the error
 *  sentence is set). */
LAMINA_API void *lamina_host_alloc(lamina_device *device, size_t size);
/** Gives it back. NULL is fine. */
LAMINA_API void lamina_host_free(lamina_device *device, void *memory, size_t size);
/** Sets this thread's error sentence and returns the status: `return lamina_error(LAMINA_UNSUPPORTED, "…", …);` */
LAMINA_API lamina_status lamina_error(lamina_status status, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;

#ifdef __cplusplus
}
#endif
#endif
