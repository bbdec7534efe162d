/* Where the time of a net goes: each op that it runs, as a table and as a trace that Chrome and Perfetto show. */
#ifndef LAMINA_TOOL_PROFILE_H
#define LAMINA_TOOL_PROFILE_H

#include <stdio.h>

#include "lamina/lamina.h"

typedef struct profile profile;

/* An op of a run, over all runs of one kind and batch. */
typedef struct profile_row {
  lamina_run run;
  int64_t batch;
  int index;        /* of the op in the run */
  char layer[48];   /* "3.conv" */
  char engine[160]; /* "onednn/blocked/jit:avx512_core; x reordered" */
  lamina_problem problem;
  double flops, bytes;       /* of a run */
  double seconds, first_run; /* of all runs; of the first one, which warms up */
  int64_t runs;
} profile_row;

/* Watches the net from now on; stop it before the net is closed. */
lamina_status profile_open(lamina_net *net, profile **p);
/* Watches no more; what was seen stays. OUT_OF_MEMORY where it wasn't all. */
lamina_status profile_stop(profile *p);
/* Stops and frees; NULL is fine. */
void profile_close(profile *p);

/* The rows, in the order in which they first ran; NULL past the last. */
const profile_row *profile_at(const profile *p, int index);
/* Seconds of a run of it, without the first where there are more. */
double profile_seconds(const profile_row *row);

/* A table for each kind of run, what takes longest first. */
lamina_status profile_print(const profile *p, FILE *to);
/* A trace (Chrome's Trace Event Format, JSON): an event for each op of the first runs. *runs: how many of them. */
lamina_status profile_write(const profile *p, const char *path, int64_t *runs);

#endif
