/* Data: where examples come from, and the batches that a trainer eats.
 *
 *   lamina_dataset    examples by number: picture [C, H, W] and label       "idx:mnist/train", "digits:test", your own
 *   lamina_loader     batches of a dataset, in order or shuffled, made ahead of the trainer by threads of its own
 *   lamina_image      one picture file, for prediction
 *
 * Everything random here is a pure function of seeds and numbers (Philox 4x32-10), so an example, a shuffled order and
 * a random shift are the same on every machine and whatever the number of threads.
 *
 * Pixels are f32. Black is `low` and white is `high` of the dataset's info: 0 and 1 (IDX: byte / 255), for xo -1 and 1.
 * A normalisation, where one is given, comes after that: x' = (x - mean) / deviation, a channel at a time. */
#ifndef LAMINA_DATA_H
#define LAMINA_DATA_H

#include "lamina/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Datasets ---------------------------------------------------------------------------------------------------- */

/** An open dataset. */
typedef struct lamina_dataset lamina_dataset;

/** What a dataset holds. */
typedef struct lamina_dataset_info {
  const char *name;                /**< the spec that it was opened from, or the name of a lamina_source */
  int64_t count;                   /**< examples: 1 … 2^31 - 1 */
  int64_t channels, height, width; /**< of each picture */
  int64_t classes;                 /**< labels are 0 … classes - 1 */
  float low, high;                 /**< black and white, before normalisation; both 0 in a lamina_source: 0 and 1 */
  const char *const *class_names;  /**< [classes], or NULL: classes have numbers only */
} lamina_dataset_info;

/** The most channels that a picture of a dataset may have. */
#define LAMINA_MAX_CHANNELS 8

/** x' = (x - mean) / deviation. All zero: none. Each list has none, one for all channels, or one for each channel. */
typedef struct lamina_normalisation {
  int means, deviations; /**< how many numbers are given: 0, 1 or the number of channels */
  float mean[LAMINA_MAX_CHANNELS], deviation[LAMINA_MAX_CHANNELS]; /**< of each channel */
} lamina_normalisation;

/** All zero: the defaults. */
typedef struct lamina_dataset_options {
  const char *root; /**< the folder that relative file names start from; NULL: $LAMINA_DATA, read at open */
  lamina_normalisation normalise;    /**< what is done to each picture */
  const lamina_allocator *allocator; /**< copied; NULL: malloc */
} lamina_dataset_options;

/** A kind of dataset that lamina_dataset_open knows, for help texts. */
typedef struct lamina_dataset_kind {
  const char *name;  /**< "idx" */
  const char *form;  /**< "idx:PREFIX[,classes=N]" */
  const char *about; /**< one line */
} lamina_dataset_kind;

/** Kind number `index`; NULL past the last. */
LAMINA_API const lamina_dataset_kind *lamina_dataset_kind_at(int index);

/** Opens the dataset that `spec` describes: KIND:WHAT[,key=value]…
 *
 *  - idx:PREFIX — IDX files, 1 x rows x columns of any size. classes=N (default: the largest label + 1).
 *  - digits:train, digits:test — digits 0 … 9 drawn in grey, 1 x 28 x 28. count=N (default 20000, 4000).
 *  - xo:train, xo:test — the lecture's X (class 0) and O (class 1), 1 x 9 x 9 of -1 and 1. count=N (default 2000, 500),
 *    jitter=PERCENT (default 100; at 0 every X is the lecture's X).
 *  - pictures:train, pictures:test — coloured gratings behind shapes, 3 x size x size, one look a class. classes=N
 *    (default 10), size=N (default 32), count=N (default 10000, 2000).
 *
 *  The last three need no files. Their example i depends on i, the split and the keys other than `count`, which only
 *  cuts; classes take turns. Drawing one takes some 10 µs (pictures: 3 ns a value), so nothing is kept.
 *
 *  idx: the files PREFIX-images-idx3-ubyte and PREFIX-labels-idx1-ubyte, as LeCun's MNIST page has them; "-images." is
 *  taken for "-images-", and each may end in .gz. A relative PREFIX is looked for under `root`, then in the working
 *  directory; when nothing is found the sentence lists every path tried. Elements are unsigned bytes (dtype 0x08).
 *  Plain pictures stay in the file and are read as they are wanted; .gz is unpacked into memory (CRC checked).
 *  All labels are read and checked here.
 *
 *  Errors: INVALID for a spec that can't be understood (it names the nearest known word), for a normalisation that
 *  doesn't fit the channels and a deviation that isn't positive; IO for a file that is missing or can't be read;
 *  CORRUPT for one whose content is wrong (magic, sizes, counts that disagree, an early or late end, a label not
 *  below `classes`), with file, field and what was expected; UNSUPPORTED for IDX of other elements; OUT_OF_MEMORY.
 *  Thread-safety: an open dataset is immutable; any number of threads may read. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_dataset_open(const char *spec, const lamina_dataset_options *options,
                                                              lamina_dataset **dataset);

/** Examples from anywhere: what a program gives to lamina_dataset_wrap. */
typedef struct lamina_source {
  lamina_dataset_info info; /**< name is copied, class_names must live as long as the dataset */
  /** Fills x: [channels, height, width] and *label with example `index`. Called from many threads at once. A failure is
   *  told by a status and a sentence through lamina_error of engine.h. */
  lamina_status (*read)(void *user, int64_t index, float *x, int32_t *label);
  void (*close)(void *user); /**< called by lamina_dataset_close; NULL: nothing to close */
  void *user;                /**< given to both */
} lamina_source;

/** Makes a dataset of the caller's own examples. `source` is copied. Of the options, root means nothing. On an error
 *  `close` is not called. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_dataset_wrap(const lamina_source *source,
                                                              const lamina_dataset_options *options,
                                                              lamina_dataset **dataset);

/** Loaders over it must be closed before. NULL is fine. */
LAMINA_API void lamina_dataset_close(lamina_dataset *dataset);

/** Lives as long as the dataset. */
LAMINA_API const lamina_dataset_info *lamina_dataset_info_of(const lamina_dataset *dataset);

/** Examples index[0 … n-1]: x: [n, C, H, W] dense, normalised; label: [n]. INVALID for an index outside 0 … count - 1;
 *  CORRUPT for a label of a lamina_source that is no class. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_dataset_read(const lamina_dataset *dataset, int64_t n,
                                                              const int64_t *index, float *x, int32_t *label);

/** Whether a net of `classes` outputs can learn this: INVALID when the dataset has more classes, naming (idx) the file,
 *  the place and the value of the first label that is too large. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_dataset_check_classes(const lamina_dataset *dataset, int64_t classes);

/** Applies a normalisation in place: x: [n, C, plane], plane = H * W. For pictures that don't come from a dataset.
 *  Errors: as lamina_dataset_open's. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_normalise(const lamina_normalisation *normalise, int64_t n,
                                                           int64_t channels, int64_t plane, float *x);

/* ---- Loaders ----------------------------------------------------------------------------------------------------- */

/** Batches of a dataset, one after the other. */
typedef struct lamina_loader lamina_loader;

/** All zero but `batch`: in order, one batch after the other, made when they are asked for. */
typedef struct lamina_loader_options {
  int64_t batch; /**< examples in a batch, at least 1 */
  bool shuffle;  /**< each epoch in an order of its own: lamina_permutation(seed, epoch); false: 0, 1, 2 … */
  bool partial;  /**< keep the last, smaller batch of an epoch (evaluation); false: leave its examples out (training),
                  *   so that every batch is full; INVALID when the dataset is smaller than one batch */
  int shift; /**< s: move each picture by -s … s pixels down and right; what comes in is black (info.low), normalised like
              *   all the rest. Down is floor(w0 * (2s + 1) / 2^32) - s, right the same of w1, words of Philox(key = seed;
              *   counter = example number, 0, 0x53484654, epoch): not of the place in the epoch */
  uint64_t seed; /**< of the orders and the shifts */
  int threads;   /**< threads that make batches ahead of the caller; 0: none, lamina_loader_next does the work */
  int ahead;     /**< batches made ahead of the one asked for; 0: 2 with threads. No meaning without threads */
  int hold;      /**< how many of the latest batches stay valid; 0: 1, the latest. For copies that run asynchronously */
  int64_t epochs;                    /**< stop after so many; 0: go on for ever */
  const lamina_allocator *allocator; /**< copied; NULL: malloc */
  const lamina_allocator *buffers;   /**< copied; for x and label only (pinned memory); NULL: as allocator */
} lamina_loader_options;

/** One batch. The memory is the loader's; x and label are 64-byte aligned. */
typedef struct lamina_batch {
  int64_t epoch, index;   /**< of the epoch, from 0; in the epoch, from 0 */
  int64_t n;              /**< examples: options.batch, fewer in a partial batch, 0 after the last epoch */
  const float *x;         /**< [n, C, H, W], dense, host memory (or what `buffers` gave) */
  const int32_t *label;   /**< [n] */
  const int64_t *example; /**< [n]: their numbers in the dataset */
} lamina_batch;

/** Starts a loader at (epoch 0, batch 0), and its threads. The batches that come are the same whatever `threads`,
 *  `ahead` and `hold` are. Errors: INVALID, OUT_OF_MEMORY. The dataset must stay open.
 *  Memory: lamina_loader_memory. Thread-safety: a loader belongs to one thread at a time. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_loader_open(const lamina_dataset *dataset,
                                                             const lamina_loader_options *options,
                                                             lamina_loader **loader);
/** Stops the threads, whatever they are doing, and waits for them (at most for the example each is reading). NULL is
 *  fine. */
LAMINA_API void lamina_loader_close(lamina_loader *loader);

/** The next batch; after an epoch's last comes the next epoch's first. Helps and waits where the threads are behind.
 *  A batch stays valid while it is one of the `hold` latest, and until seek or close.
 *  When reading an example failed: that status and sentence, for this and every further call until lamina_loader_seek.
 */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_loader_next(lamina_loader *loader, lamina_batch *batch);

/** Goes to a place, so that the next batch is (epoch, batch) as if all before had been run through. batch may be
 *  lamina_loader_batches: the next epoch's first. INVALID outside. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_loader_seek(lamina_loader *loader, int64_t epoch, int64_t batch);

/** Batches in an epoch. */
LAMINA_API int64_t lamina_loader_batches(const lamina_loader *loader);

/** Examples in an epoch: what the batches hold together. */
LAMINA_API int64_t lamina_loader_examples(const lamina_loader *loader);

/** Bytes of host memory that a loader with these options takes, without taking them; -1 where the number overflows or
 *  the options are wrong. */
LAMINA_API int64_t lamina_loader_memory(const lamina_dataset *dataset, const lamina_loader_options *options);

/** A random order of 0 … n-1, n < 2^31: Fisher and Yates' shuffle from the top, element i swapped with
 *  floor(r(i) * (i + 1) / 2^64), where r(i) is the 64-bit number in words 2*(i%2) (low) and 2*(i%2) + 1 of
 *  Philox(key = seed; counter = low and high half of i/2, 0x4F524452, epoch mod 2^32). */
LAMINA_API void lamina_permutation(uint64_t seed, int64_t epoch, int32_t n, int32_t *order);

/* ---- Picture files ----------------------------------------------------------------------------------------------- */

/** One picture, x: [channels, height, width], 0 is black and 1 white. */
typedef struct lamina_image {
  int64_t channels, height, width; /**< its size */
  float *x;                        /**< for lamina_image_free */
} lamina_image;

/** Reads a picture, told by its content:
 *    PNG  one channel where it is grey, else three (red, green, blue), eight bits of sRGB a sample / 255; transparency
 *         lies over white
 *    PGM  netpbm's P2 and P5, grey: value / maxval, maxval 1 … 65535 (two bytes a sample above 255, high byte first),
 *         comments where the format allows them; of a P5 file with several pictures the first
 *  The size is the file's own: nothing is scaled, so a caller whose net wants another must say so itself. Errors, all
 *  naming the file: IO, CORRUPT (with the field and what was expected), UNSUPPORTED for other formats, OUT_OF_MEMORY.
 *  allocator NULL: malloc (libpng's own state is always malloc's). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_image_read(const char *path, const lamina_allocator *allocator,
                                                            lamina_image *image);
/** With the allocator that it was read with. Leaves an all-zero struct, which may be freed again. */
LAMINA_API void lamina_image_free(const lamina_allocator *allocator, lamina_image *image);

#ifdef __cplusplus
}
#endif
#endif
