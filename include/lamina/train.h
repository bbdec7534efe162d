/* Training: a trainer takes a net through its data, step by step.
 *
 *   lamina_trainer_open(net, &(lamina_training){.on_epoch = print, .user = me}, &t);
 *   while (!lamina_trainer_done(t))
 *     if (lamina_trainer_step(t)) ...
 *
 * A step takes the next batch, computes the loss and its gradients, and updates the parameters. Everything that changes
 * from step to step lies in one small block of the device's memory that the ops read (rate, number of the step, random
 * state), so plans stay valid and nothing is allocated inside a step. A device that works beside the host is given the
 * next step while it is at one, and its steps are captured where it can do that. At the end of an epoch the net is
 * evaluated on the test data, without dropout.
 *
 * Numbers are f32 or bf16. Of a bf16 net activations and gradients have 16 bits, and so have the parameters that ops read;
 * beside these a trainer keeps them in f32, with its moments, since a step moves most of them by less than the last bit
 * of bf16. The update goes to those and writes the rounded ones in the same pass. They stay with the net after the trainer
 * is closed. A net that the trainer initialises starts from the same numbers as one of f32; what was set before was
 * rounded then. f16 isn't trained (UNSUPPORTED): small gradients would need a scaled loss.
 *
 * A run is a function of recipe, data, seed and thread count: trained twice, or stopped, saved and resumed anywhere, it
 * gives the same parameters bit for bit (with deterministic engines).
 * Thread-safety: a trainer and its net belong to one thread at a time. */
#ifndef LAMINA_TRAIN_H
#define LAMINA_TRAIN_H

#include "lamina/net.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A net in training. */
typedef struct lamina_trainer lamina_trainer;

/** How the learning rate goes: see lamina_rate. */
typedef enum lamina_rate_kind {
  LAMINA_RATE_CONSTANT, /**< the same all the way */
  LAMINA_RATE_STEP,     /**< times `factor` every so many epochs */
  LAMINA_RATE_COSINE    /**< down to `final` along half a cosine */
} lamina_rate_kind;

/** The learning rate at step s = 0 … S-1 of all steps, e = epoch, computed in f64:
 *    constant  rate
 *    step      rate * factor ^ floor(e / every)
 *    cosine    final + (rate - final) * (1 + cos(pi * s' / S')) / 2       Loshchilov and Hutter, "SGDR", 2017
 *  and before, in the first `warmup` epochs of W steps, rate * (s + 1) / W; s' and S' count the steps after those.
 *  In a recipe: `rate: {constant: 0.1}`, `rate: {step: {rate: 0.1, every: 30, factor: 0.1}}`, `rate: {cosine: 0.05}`. */
typedef struct lamina_rate {
  int64_t kind;   /**< a lamina_rate_kind */
  double rate;    /**< above 0 */
  int64_t warmup; /**< epochs; default 0 */
  int64_t every;  /**< epochs; step only, must be given */
  double factor;  /**< step only; default 0.1 */
  double final;   /**< cosine only; default 0 */
} lamina_rate;

/** Where a trainer is. */
typedef struct lamina_progress {
  int64_t epoch, epochs; /**< finished epochs, of how many */
  int64_t step, steps;   /**< finished steps of the current epoch, of how many */
  int64_t total;         /**< finished steps of all */
  int64_t examples;      /**< finished examples of all */
  double loss;           /**< of the last step; on a device that works beside the host, of the last that is known, up to
                          *   two steps back, but at an epoch's end always of the last */
  double mean_loss;      /**< over the known steps of the current epoch (at its end: of the one that ended) */
  double accuracy;       /**< likewise: the share of examples whose label scored highest before their step's update */
  double grad_norm;      /**< that step's, of all gradients together, before they were clipped by it; else NaN */
  double rate;           /**< of the last step */
} lamina_progress;

/** How good a net is on some data. */
typedef struct lamina_evaluation {
  int64_t examples;  /**< how many were looked at */
  int64_t hits;      /**< examples whose label scored highest */
  int64_t k, hits_k; /**< examples whose label is among the k highest */
  double accuracy;   /**< hits / examples */
  double accuracy_k; /**< hits_k / examples */
  double loss;       /**< mean */
} lamina_evaluation;

/** Anything but LAMINA_OK ends the lamina_trainer_step that called it with that status (LAMINA_INTERRUPTED to stop on
 *  request). The step is done by then, so the trainer may be saved or go on. */
typedef lamina_status lamina_step_fn(void *user, const lamina_progress *progress);
/** `test` is NULL without test data, and in epochs without an evaluation. */
typedef lamina_status lamina_epoch_fn(void *user, const lamina_progress *progress, const lamina_evaluation *test);

/** All zero: what the net's recipe says, else the default. */
typedef struct lamina_training {
  const lamina_dataset *train, *test; /**< must outlive the trainer; NULL: the recipe's */
  const char *loss;                   /**< family of the loss op; default softmax_cross_entropy */
  const void *loss_attrs;             /**< its struct of lamina/loss.h, whose reduction doesn't count: a step takes the
                                       *   mean; NULL: the recipe's if the loss is, else all zero. Only beside `loss` */
  const char *optimizer;              /**< family of the update op, "sgd", "adam"; default sgd */
  const void *optimizer_attrs;        /**< its struct of lamina/optimizer.h; NULL: all zero. Only beside `optimizer` */
  double decay;                       /**< weight decay, of parameters that take it. Only beside `optimizer` */
  lamina_rate rate;                   /**< taken from here if rate.rate is not 0; default constant 0.01 */
  double clip_norm;  /**< gradients whose norm, all together, is larger are scaled to it (lamina/clip.h), on the device
                      *   and before the optimizer and its weight decay see them; default, and below 0: none */
  double clip_value; /**< elements of gradients are clipped to -clip_value … clip_value, before their norm is taken;
                      *   default, and below 0: none. In a recipe: `clip_norm: 1`, `clip_value: 0.5` under `train` */
  int64_t batch;     /**< default 64; of fewer examples than that: all of them */
  int64_t epochs;    /**< default 10 */
  uint64_t seed;     /**< of initial parameters, order, shift and dropout; default 1 */
  int64_t top_k;     /**< also count labels among the k best; default 5, at most the classes */
  int64_t shift;     /**< as lamina_loader_options.shift; default 0 */
  int64_t evaluate;  /**< evaluate after every N epochs and the last; default 1; < 0: never */
  int threads;       /**< loader threads; default 1; < 0: none */
  bool keep_gradients; /**< for lamina_net_gradient_read after a step; costs as much memory as the parameters take */
  lamina_step_fn *on_step;   /**< after every step */
  lamina_epoch_fn *on_epoch; /**< after every epoch's last step, and after on_step for it */
  void *user;                /**< given to both */
} lamina_training;

/** Plans everything, checks the memory, sets the parameters (unless they are set) and starts the loader. The net stays
 *  the caller's and must outlive the trainer; one trainer a net.
 *  Errors: INVALID for data that doesn't fit the net; OUT_OF_MEMORY before the work starts, with what is needed, what
 *  there is and the largest batch that fits; those of datasets, loaders and plans. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_trainer_open(lamina_net *net, const lamina_training *training,
                                                              lamina_trainer **trainer);
/** NULL is fine. */
LAMINA_API void lamina_trainer_close(lamina_trainer *trainer);

/** One step; after the last one of an epoch, the evaluation and on_epoch. Where on_step stopped an epoch's last step, or
 *  the evaluation failed, those come first in the next call (after a resume, too), before its step if there is one left.
 *  INVALID when all epochs are done.
 *  NOT_FINITE when the loss is NaN or infinite, or the norm that gradients are clipped by (PyTorch's error_if_nonfinite),
 *  with the step and the first layer, parameter or batch that made it; the parameters are then those before that step.
 *  A device that works beside the host may tell of it up to two steps later; they are undone, too. A step that failed
 *  isn't done: the next call tries the same batch again. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_trainer_step(lamina_trainer *trainer);
/** As lamina_trainer_step, on the caller's batch in the place of the next one of the training data: x [batch, input…] as
 *  lamina_batch has it, labels [batch], in host memory, read before this returns. It counts as that step: rate, progress,
 *  epoch and random numbers go on alike. For batches that a program makes itself, and to measure a step without the making
 *  of its batch. INVALID for a label that is no class; the errors above. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_trainer_step_on(lamina_trainer *trainer, const float *x,
                                                                 const int32_t *labels);
/** Whether all epochs are done. */
LAMINA_API bool lamina_trainer_done(const lamina_trainer *trainer);
/** Steps until done, or until a step fails. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_trainer_run(lamina_trainer *trainer);
/** Fills *progress. */
LAMINA_API void lamina_trainer_progress(const lamina_trainer *trainer, lamina_progress *progress);
/** What training uses after recipe and defaults: train and test datasets, batch, epochs, seed, rate … */
LAMINA_API const lamina_training *lamina_trainer_training(const lamina_trainer *trainer);

/** Writes a checkpoint: parameters, optimizer, place in schedule and data, the recipe. The old file stays until the new
 *  one is whole. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_trainer_save(lamina_trainer *trainer, const char *path);
/** Goes on where the checkpoint was written, bit for bit. INVALID when it is of another net, or was trained otherwise:
 *  another batch, seed, number of examples, shift, loss, optimizer (with its options), decay, clipping or rate, saying
 *  which; CORRUPT when it was cut or altered. The whole file is checked first, so on these errors the trainer is as
 *  before. What may change: where the data lies, test data and how often it is evaluated, loader threads; and the
 *  epochs, by which a cosine's rate goes on along the new curve. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_trainer_resume(lamina_trainer *trainer, const char *path);

/** What the net's recipe says about training, without the data; zero is what it doesn't say, and all for a net without a
 *  recipe. Lives as long as the net. */
LAMINA_API const lamina_training *lamina_net_training(const lamina_net *net);

/** Loss and accuracy on a dataset in order, without dropout; batch 0: the recipe's or 64. `loss` NULL: the recipe's or
 *  softmax_cross_entropy. k 0: 5, at most the classes. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_evaluate(lamina_net *net, const lamina_dataset *dataset,
                                                              const char *loss, int64_t batch, int64_t k,
                                                              lamina_evaluation *evaluation);
/** The confusion matrix of a net on a dataset: counts [classes, classes], classes being the net's outputs, receives in
 *  row `label` and column `answer` how many examples of that label scored highest in that answer (the lower of equals,
 *  as lamina/metric.h; an example whose scores are all NaN isn't counted). batch 0: the recipe's or 64. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_confusion(lamina_net *net, const lamina_dataset *dataset,
                                                               int64_t batch, int64_t *counts);
/** The training and test data of the net's recipe, opened when first wanted, closed with the net. NULL: not wanted;
 *  *test is NULL when the recipe names none. INVALID for a net without a recipe or data. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_data(lamina_net *net, const lamina_dataset **train,
                                                          const lamina_dataset **test);
/** What training takes, without taking it. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_training_memory(lamina_net *net, const lamina_training *training,
                                                                 lamina_memory_need *need);

#ifdef __cplusplus
}
#endif
#endif
