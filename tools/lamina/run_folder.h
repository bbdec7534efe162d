/* What a training leaves behind: DIR/checkpoint.safetensors, metrics.jsonl, loss.svg, confusion.svg, recipe.yaml; and
 * the same numbers in memory, for the chart. All calls set the library's error sentence. */
#ifndef LAMINA_TOOL_RUN_FOLDER_H
#define LAMINA_TOOL_RUN_FOLDER_H

#include <stdio.h>

#include "lamina/lamina.h"

enum { RUN_PATH = 1024 };

/* Points of a line of the chart. */
typedef struct run_line {
  double *x, *y;
  size_t count, room;
} run_line;

typedef struct run_folder {
  char path[RUN_PATH], checkpoint[RUN_PATH + 32];
  FILE *metrics;
  run_line loss, accuracy; /* over epochs; accuracy in percent */
  double seconds;          /* of training before this process, when it was resumed */
  bool kept;               /* an earlier run's checkpoint was there: it is previous.safetensors now */
} run_folder;

/* One line of metrics.jsonl: a step, or an epoch with its test. */
typedef struct run_record {
  lamina_progress at;
  bool epoch;
  const lamina_evaluation *test; /* NULL: none */
  double images_per_second, seconds;
} run_record;

typedef enum run_make {
  RUN_THERE,       /* the folder must be there */
  RUN_MAKE,        /* make it, but not the one that it is to lie in */
  RUN_MAKE_PARENTS /* make all */
} run_make;

/* Names the files, makes the folder and tries to write there. */
lamina_status run_folder_open(run_folder *run, const char *path, run_make how);
void run_folder_close(run_folder *run);
/* The name of the recipe, which the first line of a run's recipe.yaml is; it stays as it is where there is none. */
void run_folder_name(const char *recipe, char *name, size_t size);
/* Starts the files anew; the checkpoint of an earlier run is kept as previous.safetensors. */
lamina_status run_folder_begin(run_folder *run, const char *name, const char *recipe);
/* Goes on after `total` steps: what metrics.jsonl says of later ones is cut off, what is left is read. */
lamina_status run_folder_resume(run_folder *run, const char *name, const char *recipe, int64_t total, int64_t steps);
/* The JSON line of a record; lives until the next one. */
lamina_status run_record_line(lamina_json *json, const run_record *record, const char **line);
lamina_status run_folder_add(run_folder *run, const run_record *record, const char *line);
/* loss.svg. */
lamina_status run_folder_draw(run_folder *run, const char *title);
/* confusion.svg. */
lamina_status run_folder_draw_confusion(run_folder *run, const lamina_confusion *matrix);
/* The chart on a terminal. */
lamina_status run_folder_print(const run_folder *run, int columns, bool colour, FILE *to);

#endif
