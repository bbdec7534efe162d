/* Verification: a problem is filled, run by its candidates and held against the oracle; and the one grammar in which
 * problems are written on the command line and in every line that repeats a case.
 *
 *   OP tensor=FILE.npy|SHAPE… attribute=value… [dtype=T] [math=M] [deterministic=1] [fill=exact|normal] [seed=N]
 *
 *   x=2x3x5x7                    a shape, dense; x=0d is a single number without axes
 *   x=2x3x5x7/120,40,8,1+3:bf16  its strides, its place (elements past a 64-byte boundary) and its type
 *   x=pictures.npy               a file: read for an input, written for an output
 *   y=@x                         in the memory of x, where the row allows it
 *   pad=2,2  pad=0:1,2:2  pad=2  per spatial axis; before:after; the same for every axis
 *
 * What is not given is found where it can be: outputs that the op needs and whose shape follows, and inputs of a
 * backward pass whose shape follows from the forward pass (dy of conv/backward_weights). `dtype` is the type of the
 * arguments that are not integers (default: a file's own, f32 for a shape); integers are i64 unless they say otherwise.
 *
 * How a result is judged. With r the oracle's value, q the root of the summed squares of K products, u_out, u_acc and
 * u_in the unit roundoffs of the output's type, of the engine's sums and of its rounding of inputs, g = sqrt(K), or K for
 * truncating sums:
 *
 *   |got - r| <= u_out*|r| + 4*(u_acc*g*(q + |r|) + u_in*(sqrt(2)*q + |r|)) + the least normal number of the type
 *
 * Where the op is no sum of products the oracle's own first-order bound takes the brackets' place. Infinities and NaN
 * must be where the oracle has them. With exact inputs, and where the op only moves numbers, the bits must be right.
 * Every run is done twice, on memory poisoned in two ways, and must leave its inputs, the gaps between strided
 * elements, and the red zones around every tensor and the workspace as they were.
 *
 * Memory: the device's allocator, or the one that is given (NULL: malloc); a verification takes several times what its
 * tensors take. Thread-safety: all calls work in many threads at once; one lamina_data or lamina_cases, and the device's
 * own stream, which runs are put into, belong to one at a time. */
#ifndef LAMINA_VERIFY_H
#define LAMINA_VERIFY_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** One case: a problem, and where the data of its arguments come from. All zero beside the problem: normal numbers of
 *  seed 0. */
typedef struct lamina_case {
  lamina_problem problem;            /**< inferred */
  const char *file[LAMINA_MAX_ARGS]; /**< an NPY file to read, or to write the output to; NULL: none */
  int64_t offset[LAMINA_MAX_ARGS];   /**< elements from a 64-byte boundary to the data */
  bool exact;                        /**< small integers, for which any order of sums gives the same bits */
  uint64_t seed;                     /**< of the numbers */
} lamina_case;

/** Reads a case from words ("conv/forward", "x=2x3x5x7", …) and infers its problem. File names point into `words`.
 *  Errors name the word, and the nearest tensor or attribute; INVALID, or what reading a file returns. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_case_parse(int count, const char *const *words,
                                                            const lamina_allocator *allocator, lamina_case *c);
/** The words of an inferred case, with blanks between; reads back as the same case. Returns buffer, cut if need be. */
LAMINA_API const char *lamina_case_text(const lamina_case *c, char *buffer, size_t size);
/** Does the op have exact inputs for this problem? */
LAMINA_API bool lamina_case_can_be_exact(const lamina_case *c);

/* ---- Data --------------------------------------------------------------------------------------------------------
 */

/** The arguments of one case in memory, on the host and on the device: inputs filled or read, outputs poisoned, red
 *  zones around each. What a backward pass takes from the forward pass is computed by its reference. */
typedef struct lamina_data lamina_data;

/** Makes and fills them. `c` is copied. UNSUPPORTED when exact inputs are wanted and there are none; what reading a file
 *  returns; OUT_OF_MEMORY; DEVICE. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_data_open(lamina_device *device, const lamina_case *c,
                                                           lamina_data **data);
/** NULL is fine. */
LAMINA_API void lamina_data_close(lamina_data *data);
/** The addresses on the device, for lamina_plan_run. */
LAMINA_API const lamina_args *lamina_data_args(const lamina_data *data);
/** Argument `arg` as the host sees it, after lamina_data_fetch also what the device wrote; NULL when it is absent. */
LAMINA_API const lamina_tensor *lamina_data_tensor(const lamina_data *data, int arg);
/** Brings everything on the device back to what it was before the first run. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_data_reset(lamina_data *data);
/** Copies everything to the host; waits for the device. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_data_fetch(lamina_data *data);

/* ---- Verifying ----------------------------------------------------------------------------------------------------
 */

/** How thoroughly a result was compared. */
typedef enum lamina_tier {
  LAMINA_TIER_EXACT, /**< every element, bit for bit */
  LAMINA_TIER_FULL,  /**< every element, to its tolerance */
  LAMINA_TIER_SAMPLE /**< chosen elements: corners, the last ones, random ones */
} lamina_tier;

/** "exact", "full", "sample". */
LAMINA_API const char *lamina_tier_name(lamina_tier tier);

/** All zero: every candidate, every element. */
typedef struct lamina_verify_options {
  const char
      *engine;    /**< only candidates of this name, by prefix of whole parts; NULL: all (LAMINA_ENGINE is ignored) */
  int64_t sample; /**< of larger outputs only so many elements, recomputed one by one; 0: every element */
} lamina_verify_options;

/** What came out for one candidate. */
typedef struct lamina_verdict {
  char engine[64], variant[64]; /**< which candidate */
  lamina_status status;     /**< OK: agrees. MISMATCH. UNSUPPORTED: the engine refused, nothing ran. Else it failed */
  lamina_tier tier;         /**< how it was compared */
  double worst;             /**< the greatest error as a share of its tolerance; 0 where nothing had one */
  int64_t elements;         /**< compared */
  int arg;                  /**< the first bad element: its argument; -1: no element is bad, see `reason` */
  int64_t element;          /**< its row-major index */
  double got, tolerance;    /**< what came out, and how far it may be from expected.value */
  lamina_expected expected; /**< the oracle's */
  char reason[256];         /**< a sentence: what is wrong, or why it was refused; "" when all is well */
  char repeat[1024];        /**< the command that repeats the case for this candidate */
} lamina_verdict;

/** Verifies every candidate that can run the case. On entry *count is the room in `list`; on return how many verdicts
 *  there are (which may be more). MISMATCH when any candidate is wrong, with the first one's reason and command as the
 *  sentence; otherwise the status of the first candidate that failed to run; UNSUPPORTED when none could. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_verify(lamina_device *device, const lamina_case *c,
                                                        const lamina_verify_options *options, lamina_verdict *list,
                                                        int *count);

/** The oracle's numbers for data that is there, asked for once for all engines: for large cases that are run anyway. */
typedef struct lamina_check lamina_check;
/** Asks the oracle for `sample` elements of each larger output, 0: for every element. `data` must stay open. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_check_open(lamina_data *data, int64_t sample, lamina_check **check);
/** NULL is fine. */
LAMINA_API void lamina_check_close(lamina_check *check);
/** Resets the data, with its outputs poisoned, runs `plan`, of the very problem, once, and judges what comes out as
 *  lamina_verify does. MISMATCH with the sentence where it is wrong, else what running it returns; *verdict tells more. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_check_run(lamina_check *check, const lamina_plan *plan,
                                                           lamina_verdict *verdict);

/* ---- Generated cases ------------------------------------------------------------------------------------------------
 */

/** An endless sequence of cases for one op: odd sizes, strides, gaps, aliases, absent arguments, in such an order that
 *  pairs of choices come up as early as can be. The same seed gives the same cases. */
typedef struct lamina_cases lamina_cases;

/** `dtype`: of the floating arguments; LAMINA_NONE: all of them, mixed now and then. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_cases_open(int op, lamina_dtype dtype, uint64_t seed,
                                                            const lamina_allocator *allocator, lamina_cases **cases);
/** NULL is fine. */
LAMINA_API void lamina_cases_close(lamina_cases *cases);
/** The next case; `exact` is not set. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_cases_next(lamina_cases *cases, lamina_case *c);

#ifdef __cplusplus
}
#endif
#endif
