/* Ops: what they are (rows), one concrete problem, and the plan that runs it.
 *
 * An op is a family and a pass, "conv/backward_data", described by one row: its arguments, its attributes, its shapes,
 * its reference. Everything generic (planning, verification, the command line, nets) works from the rows. Each family
 * also has typed calls in a header of its own (lamina/conv.h …); this header is the general way to the same things.
 *
 * Thread-safety: rows and plans never change, and everything here may be called from many threads at once; what a run
 * writes, its workspace and its stream belong to one thread at a time. */
#ifndef LAMINA_OP_H
#define LAMINA_OP_H

#include "lamina/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The most arguments of an op. */
#define LAMINA_MAX_ARGS 24
/** Room for a family's descriptor struct in a problem. */
#define LAMINA_ATTR_BYTES 256

/** What an op does with an argument. */
typedef enum lamina_role {
  LAMINA_IN,    /**< reads it */
  LAMINA_OUT,   /**< overwrites it */
  LAMINA_INOUT, /**< changes it in place */
  LAMINA_SAVED  /**< an output kept for the backward pass, in the public format that the header gives */
} lamina_role;

/** Which element types an argument takes. */
typedef enum lamina_class {
  LAMINA_FLOATING, /**< f64, f32, f16, bf16 */
  LAMINA_INTEGER,  /**< i64, i32, u8 */
  LAMINA_ANY       /**< all of them */
} lamina_class;

/** An argument of an op. Names bind within a family: x, w, y mean the same in every pass, dx is the gradient of x. */
typedef struct lamina_arg_def {
  const char *name;  /**< NULL ends the list */
  lamina_role role;  /**< what happens to it */
  bool optional;     /**< it may be absent */
  lamina_class type; /**< which element types it takes */
  const char *alias; /**< the input that this output may share its memory with, or NULL */
} lamina_arg_def;

/** Axis `a` in a set of axes: 0 … 7 from the front, -1 … -8 from the back. */
#define LAMINA_AXIS(a) (INT64_C(1) << ((a)&15))

/** What an attribute is: its field in the descriptor, and how it is written. */
typedef enum lamina_attr_type {
  LAMINA_ATTR_INT,  /**< int64_t */
  LAMINA_ATTR_REAL, /**< double */
  LAMINA_ATTR_BOOL, /**< int64_t, 0 or 1 */
  LAMINA_ATTR_ENUM, /**< int64_t, an index into `choices` */
  LAMINA_ATTR_AXES, /**< int64_t[3]: one number for each spatial axis, first axis first */
  LAMINA_ATTR_PADS, /**< int64_t[3][2]: before and after, for each spatial axis */
  LAMINA_ATTR_LIST, /**< int64_t[LAMINA_MAX_RANK]: one number for each axis of a tensor; those not given are 0 */
  LAMINA_ATTR_SET   /**< int64_t: a set of axes, the sum of their LAMINA_AXIS */
} lamina_attr_type;

/** An attribute of an op, or of a layer: a field of the descriptor struct. */
typedef struct lamina_attr_def {
  const char *name;           /**< NULL ends the list */
  lamina_attr_type type;      /**< of the field */
  size_t offset;              /**< of the field in the descriptor */
  double preset;              /**< what a zero field means */
  size_t has;                 /**< offset of the int64_t flag that says that zero is meant; 0: there is none */
  const char *const *choices; /**< for ENUM, NULL-terminated */
  double least, most;         /**< the range that is accepted; both 0: any (AXES, PADS and LIST: each number) */
} lamina_attr_def;

/** What an engine may do to the numbers on the way. Sums are in f32 or better always. */
typedef enum lamina_math {
  LAMINA_MATH_DEFAULT, /**< the device's default; on the CPU: strict */
  LAMINA_MATH_STRICT,  /**< products and sums in f32 or better */
  LAMINA_MATH_TF32,    /**< factors may be rounded to 10 bits of fraction */
  LAMINA_MATH_BF16,    /**< factors may be rounded to bf16 */
  LAMINA_MATH_F16      /**< factors may be rounded to f16 */
} lamina_math;

/** In lamina_problem.flags: bitwise equal results run to run. */
#define LAMINA_DETERMINISTIC 1u

/** One problem: an op, the shape of every argument, every attribute. Without pointers or padding; after
 *  lamina_problem_infer equal problems are equal bytes. Everything that decides which engine runs and how fast. */
typedef struct lamina_problem {
  int32_t op;                       /**< index, see lamina_op_at */
  int32_t math;                     /**< a lamina_math */
  uint32_t flags;                   /**< LAMINA_DETERMINISTIC or 0 */
  uint32_t aliased;                 /**< bit i: argument i shares memory with the input that its row names */
  lamina_desc arg[LAMINA_MAX_ARGS]; /**< in the order of the row; dtype LAMINA_NONE: absent */
  uint8_t attr[LAMINA_ATTR_BYTES];  /**< the family's descriptor struct (lamina_conv …) */
} lamina_problem;

/** Data pointers in the order of the row's arguments; NULL for absent ones. */
typedef struct lamina_args {
  void *p[LAMINA_MAX_ARGS];
} lamina_args;

/** What the oracle expects of one element. */
typedef struct lamina_expected {
  double value;  /**< r: the result in f64 */
  double q;      /**< sqrt(sum of the squared products); for terms 0 the whole error bound per unit roundoff */
  int64_t terms; /**< K: how many products were added; 0: no sum of products; -1: exact, only the store rounds */
} lamina_expected;

/** What a reference sees: every input as a dense, row-major copy, whatever its type and strides were. */
typedef struct lamina_reference {
  const lamina_problem *problem;     /**< inferred */
  const void *attr;                  /**< problem->attr, aligned: cast it to the family's descriptor */
  const double *x[LAMINA_MAX_ARGS];  /**< floating and integer inputs as f64 (NULL: absent or not an input) */
  const int64_t *i[LAMINA_MAX_ARGS]; /**< integer inputs also as i64 */
  double *scratch;                   /**< what the row's `scratch` asked for, filled by `prepare` */
} lamina_reference;

/** What the numbers of a test are like. */
typedef enum lamina_fill_kind {
  LAMINA_FILL_NORMAL,    /**< standard normal numbers */
  LAMINA_FILL_INTEGERS,  /**< whole numbers, uniform in low … high */
  LAMINA_FILL_UNIFORM,   /**< real numbers, uniform in low … high: rates, second moments */
  LAMINA_FILL_ASCENDING, /**< whole numbers in low … high that never fall; the last is high: ends of segments */
  LAMINA_FILL_SEED       /**< a generator's state: any seed, then a small step */
} lamina_fill_kind;

/** How an argument is filled for a test. What a backward pass takes from the forward pass (y, indices, prob …) is not
 *  filled: the verifier finds it by name and runs the reference of the family's forward pass for it. */
typedef struct lamina_fill_def {
  lamina_fill_kind kind; /**< what the numbers are like */
  double low, high;      /**< the least and the largest */
  double density;        /**< INTEGERS: the share of elements that are not 0; 0 means 1 */
} lamina_fill_def;

/** The random choices of one test case: for the rows of src/ops/. */
typedef struct lamina_draw lamina_draw;

/** What an op is: one row an op, in src/ops/. */
typedef struct lamina_op_def {
  const char *name;             /**< "conv/backward_data"; NULL ends a family's list */
  const lamina_arg_def *args;   /**< in the order of lamina_problem.arg */
  const lamina_attr_def *attrs; /**< fixed for a plan; a change between runs is an argument */
  size_t attr_size;             /**< of the family's descriptor struct */
  const char *const *parts;     /**< a fused op names the ops that it fuses; else NULL */
  /** A batch may be cut: what comes out for an example (an index of the first axis) comes of that example alone, and what
   *  has no such axis is a sum over them. (A fused op is so where its parts are.) */
  bool by_example;
  /** Validates shapes and attributes and fills in the outputs that are to be inferred. */
  lamina_status (*infer)(lamina_problem *problem);
  /** Doubles of scratch that `prepare` fills; NULL for none. */
  int64_t (*scratch)(const lamina_problem *problem);
  /** What elements share (a row's maximum, a channel's mean), computed once; NULL for nothing. */
  lamina_status (*prepare)(const lamina_reference *reference);
  /** The oracle: logical element `index` (row-major) of output `arg`, in f64. Pure, so it runs in any order. */
  void (*element)(const lamina_reference *reference, int arg, int64_t index, lamina_expected *expected);
  /** Fills for the arguments: NORMAL unless changed (an integer argument always needs a range). `exact`: integers for
   *  which every order of summation gives the same bits; false when there are none. NULL: floats normal, no exact. */
  bool (*fills)(const lamina_problem *problem, bool exact, lamina_fill_def *fill);
  /** Draws a test case with core/draw.h: the shapes of all inputs (optional ones, too) and the attributes; small, odd,
   *  empty now and then. Only in a family's first pass; the other passes take their shapes from it by name (y and dy
   *  are as its y is). NULL: all inputs have one shape, and any does. */
  void (*sample)(lamina_problem *problem, lamina_draw *draw);
  /** Floating-point operations of the direct algorithm; NULL: none worth counting. */
  double (*flops)(const lamina_problem *problem);
} lamina_op_def;

/** Row number `id`, 0 …; NULL past the last. */
LAMINA_API const lamina_op_def *lamina_op_at(int id);
/** By name, "conv/forward"; -1 when there is none. */
LAMINA_API int lamina_op_find(const char *name);
/** How many arguments the op has, optional ones, too. */
LAMINA_API int lamina_op_arg_count(const lamina_op_def *op);
/** Index of the argument named so; -1 when there is none. */
LAMINA_API int lamina_op_arg(const lamina_op_def *op, const char *name);

/** Starts a problem: `descriptor` is the family's struct (NULL: all zero), `arg[i]` the shape of argument i or NULL; both
 *  are copied, and looked at by lamina_problem_infer only. INVALID for an op that there isn't. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_problem_init(lamina_problem *problem, int op, const void *descriptor,
                                                              const lamina_desc *const *arg);
/** Fills in presets and inferred shapes, checks everything and brings the problem to its normal form; once more changes
 *  nothing. Layouts that are LAMINA_LAYOUT_ANY stay so. INVALID, with the sentence naming the op, the argument or
 *  attribute, what it is and what was expected. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_problem_infer(lamina_problem *problem);
/** The work of an inferred problem: floating-point operations of the direct algorithm, and the bytes of all arguments
 *  (of what is in and out: twice), which any algorithm must move. */
LAMINA_API void lamina_problem_work(const lamina_problem *problem, double *flops, double *bytes);
/** The problem in the command line's grammar: "conv/forward x=2x3x5x5 w=… pad=1,1". Returns buffer, cut if need be. */
LAMINA_API const char *lamina_problem_text(const lamina_problem *problem, char *buffer, size_t size);

/** The oracle: runs the op's reference on host memory, in any layout but LAMINA_LAYOUT_ANY. want[i] != NULL receives
 *  lamina_desc_count(arg i) expected values of output i; args->p[i] != NULL of an output is written. Either may be left
 *  out; want may be NULL. Inputs may overlap outputs where the row allows it. `threads`: 0 for one. Takes host memory
 *  for copies of the inputs in f64. INVALID for a problem or pointers that don't fit; OUT_OF_MEMORY. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_reference_run(const lamina_problem *problem, const lamina_args *args,
                                                               lamina_expected *const *want, int threads,
                                                               const lamina_allocator *allocator);
/** The same for n chosen elements of one output, by their row-major index; args->p of outputs is not looked at. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_reference_at(const lamina_problem *problem, const lamina_args *args,
                                                              int arg, size_t n, const int64_t *element,
                                                              lamina_expected *want, const lamina_allocator *allocator);

/* ---- Plans --------------------------------------------------------------------------------------------------- */

/** A problem with its chosen engine, prepared and immutable: run it many times, from many threads, on many streams. */
typedef struct lamina_plan lamina_plan;

/** All zero: the defaults. */
typedef struct lamina_plan_options {
  const char *engine;     /**< "onednn", "loop", or ENGINE/VARIANT; matches by prefix of whole parts. NULL: choose */
  lamina_math math;       /**< what engines may round to */
  bool deterministic;     /**< bitwise equal results run to run on one device and thread count, or a refusal */
  size_t workspace_limit; /**< bytes; 0: no limit */
} lamina_plan_options;

/** Chooses an engine: options.engine, else LAMINA_ENGINE, else the smallest estimate. `problem` is inferred on the way
 *  and copied. A problem that was planned before, with the same options, comes from the device's cache. Memory is the
 *  device's allocator's. Close the plan with lamina_plan_close, before its device.
 *  Errors: those of lamina_problem_infer; UNSUPPORTED, which lists every engine's reason; OUT_OF_MEMORY; DEVICE. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_plan_open(lamina_device *device, const lamina_problem *problem,
                                                           const lamina_plan_options *options, lamina_plan **plan);
/** No run may be under way. NULL is fine. */
LAMINA_API void lamina_plan_close(lamina_plan *plan);
/** Bytes of workspace that a run needs, 64-byte aligned: lamina_memory_alloc. */
LAMINA_API size_t lamina_plan_workspace(const lamina_plan *plan);
/** What was planned, inferred, with the layouts and strides that were chosen in place of LAMINA_LAYOUT_ANY. Lives as long
 *  as the plan, as do the texts below. */
LAMINA_API const lamina_problem *lamina_plan_problem(const lamina_plan *plan);
/** "onednn": the engine that was chosen. */
LAMINA_API const char *lamina_plan_engine(const lamina_plan *plan);
/** "jit:avx512_core": the engine's variant; "" where it has but one. */
LAMINA_API const char *lamina_plan_variant(const lamina_plan *plan);
/** Every candidate with its estimate and every engine that refused with its reason, a line each, the chosen one first.
 *  Lives as long as the plan. */
LAMINA_API const char *lamina_plan_explain(const lamina_plan *plan);
/** Runs the plan, in the order of the stream; on the CPU it is done at return. Pointers must fit the problem's shapes
 *  and alignment, and may overlap only as the row allows and the problem says (lamina_problem.aliased); `workspace` may
 *  be NULL where none is needed. Nothing is allocated. From many threads at once, with outputs, workspace and stream of
 *  their own. Bitwise deterministic as planned.
 *  Errors: INVALID for a pointer that is NULL or not aligned; what the engine says; DEVICE. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_plan_run(const lamina_plan *plan, const lamina_args *args,
                                                          void *workspace, lamina_stream *stream);

/** One candidate of a problem on a device. */
typedef struct lamina_candidate {
  char engine[64], variant[64]; /**< their names; a variant may be "" */
  double seconds;               /**< estimated; < 0: refused */
  char reason[192];             /**< why it was refused, or a note */
} lamina_candidate;

/** Lists the candidates of a problem, best first, refusals last; `prepare` may still refuse one. On entry *count is the
 *  room; on return how many there are (which may be more). The errors of lamina_problem_infer; OUT_OF_MEMORY. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_candidates(lamina_device *device, const lamina_problem *problem,
                                                            const lamina_plan_options *options, lamina_candidate *list,
                                                            int *count);

/** The simple path: plans (through the device's cache), runs in the order of the stream, with the stream's workspace,
 *  which grows as needed. `tensor[i]` is argument i or NULL; all must have shapes. An output that lies exactly on the
 *  input that its row names may do so.
 *  Errors: those of lamina_plan_open and lamina_plan_run; INVALID for tensors that overlap otherwise or lie in memory
 *  that the device can't work in. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_op_run(lamina_device *device, const char *op, const void *descriptor,
                                                        const lamina_tensor *const *tensor, lamina_stream *stream);
/** Plans from tensors, as lamina_op_run does, without running; what `data` points to is not looked at, only
 *  which tensors share it. Outputs may be lamina_infer. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_op_plan(lamina_device *device, const char *op, const void *descriptor,
                                                         const lamina_tensor *const *tensor,
                                                         const lamina_plan_options *options, lamina_plan **plan);

/** Declares a pass of a family in its planned form, e.g. LAMINA_PLANNED(conv_forward, …):
 *  lamina_conv_forward_plan(device, …tensors, options, &plan) plans as lamina_op_plan does; close with
 *  lamina_plan_close. lamina_conv_forward_run(plan, &(lamina_conv_forward_args){…}, workspace, stream) runs as
 *  lamina_plan_run does; INVALID for a plan of another op. */
#define LAMINA_PLANNED(name, ...)                                                                                      \
  LAMINA_API LAMINA_NODISCARD lamina_status lamina_##name##_plan(                                                      \
      lamina_device *device, __VA_ARGS__, const lamina_plan_options *options, lamina_plan **plan);                     \
  LAMINA_API LAMINA_NODISCARD lamina_status lamina_##name##_run(                                                       \
      const lamina_plan *plan, const lamina_##name##_args *args, void *workspace, lamina_stream *stream)

/** Counts of a device's plan cache since it was opened. */
typedef struct lamina_cache_info {
  uint64_t hits;      /**< calls that found their plan */
  uint64_t misses;    /**< calls that had to plan */
  uint64_t evictions; /**< plans that made room for others */
  int plans;          /**< in the cache now */
} lamina_cache_info;
/** Fills *info. */
LAMINA_API void lamina_device_cache(const lamina_device *device, lamina_cache_info *info);

#ifdef __cplusplus
}
#endif
#endif
