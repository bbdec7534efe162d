/* What a kind of dataset is made of, and what the loader sees of a dataset. */
#ifndef LAMINA_DATA_DATASET_H
#define LAMINA_DATA_DATASET_H

#include "core/base.h"
#include "lamina/data.h"

enum { LAMINA_DATA_KEYS = 4 };

/* A key that a spec may give: an integer in a range. */
typedef struct lamina_data_key {
  const char *name; /* NULL ends the list */
  int64_t preset;   /* where it isn't given */
  int64_t least, most;
} lamina_data_key;

/* A spec taken apart: KIND:WHAT[,key=value]… */
typedef struct lamina_data_spec {
  const char *text;                /* whole, for error sentences */
  const char *what;                /* a path, or a split */
  int split;                       /* 0: train, 1: test; for kinds that have splits */
  int64_t value[LAMINA_DATA_KEYS]; /* in the order of the kind's keys */
  const char *root;                /* NULL: none */
  const lamina_allocator *allocator;
} lamina_data_spec;

/* A row a kind: what it is called and how it is opened. open fills the source but its name. */
typedef struct lamina_data_kind {
  lamina_dataset_kind about;
  bool splits; /* WHAT is train or test, else a path */
  lamina_data_key keys[LAMINA_DATA_KEYS + 1];
  lamina_status (*open)(const lamina_data_spec *spec, lamina_source *source);
  lamina_status (*check_classes)(void *user,
                                 int64_t classes); /* names the label that is too large; NULL: the core does */
} lamina_data_kind;

extern const lamina_data_kind lamina_data_idx, lamina_data_digits, lamina_data_xo, lamina_data_pictures;

struct lamina_dataset {
  lamina_source source;
  const lamina_data_kind *kind; /* NULL: a caller's own */
  lamina_normalisation normalise;
  lamina_allocator allocator;
  char *name;
};

/* Mean and deviation of a channel: 0 and 1 where none is given. */
static inline float lamina_channel_mean(const lamina_normalisation *n, int64_t c) {
  return n->means ? n->mean[n->means > 1 ? c : 0] : 0.0f;
}
static inline float lamina_channel_deviation(const lamina_normalisation *n, int64_t c) {
  return n->deviations ? n->deviation[n->deviations > 1 ? c : 0] : 1.0f;
}

/* Moves x: [channels, height, width] in place, `down` and `right` pixels; what comes in is fill[channel]. */
void lamina_shift_picture(float *x, int64_t channels, int64_t height, int64_t width, int64_t down, int64_t right,
                          const float *fill);

#endif
