/* lamina bench, as its files see each other:
 *
 *   bench.c          the command: options, one problem or a file of them
 *   bench_case.c     one problem: its candidates are checked and timed, and each becomes a row
 *   bench_net.c      a whole net: training and inference
 *   bench_timer.c    how long a plan takes
 *   bench_peak.c     what the device can do at best, measured
 *   bench_fma.c      how many multiply-adds the CPU can do
 *   bench_report.c   rows as a table, as CSV, as JSON
 *   bench_compare.c  two JSON files, row by row
 *   shapes.c         files of problems */
#ifndef LAMINA_TOOL_BENCH_H
#define LAMINA_TOOL_BENCH_H

#include "cli.h"

/* ---- Timing -------------------------------------------------------------------------------------------------------- */

enum { BENCH_MOST_SAMPLES = 4096, BENCH_LEAST_SAMPLES = 3 };

/* Events, and what empties the device's cache before every run where it has one. */
typedef struct bench_clock bench_clock;
/* `warm`: the cache stays as it is. Close it in either case. */
lamina_status bench_clock_open(lamina_device *device, bool warm, bench_clock **clock);
void bench_clock_close(bench_clock *clock);
bool bench_clock_cold(const bench_clock *clock); /* is the cache emptied? */

/* What is timed: a plan on data, with its workspace. */
typedef struct bench_job {
  lamina_device *device;
  const bench_clock *clock;
  const lamina_plan *plan;
  const lamina_args *args;
  void *workspace;
  lamina_data *reset; /* is reset before each sample, since a run changes its inputs; NULL: it doesn't */
} bench_job;

/* The samples of one job. */
typedef struct bench_samples {
  long repeats; /* runs that are queued together */
  int count;
  double spent; /* seconds of the host's clock, all in all */
  double median, spread;
  double sample[BENCH_MOST_SAMPLES]; /* seconds a run */
} bench_samples;

/* Warms up, and finds out how many runs make a sample. */
lamina_status bench_calibrate(const bench_job *job, bench_samples *samples);
/* Takes one more sample, or some. */
lamina_status bench_sample(const bench_job *job, bench_samples *samples);
/* Has it been timed for `seconds`? */
bool bench_enough(const bench_samples *samples, double seconds);
/* Median, and half the distance between the quartiles as a share of it. */
void bench_summarise(bench_samples *samples);

/* ---- Peaks --------------------------------------------------------------------------------------------------------- */

enum { BENCH_MOST_PEAKS = 16 };

/* The best that was seen of one kind of work. */
typedef struct bench_peak {
  char of[96];      /* "multiply-adds in f32", "copy/forward x=…" */
  const char *unit; /* "FLOP/s", "B/s" */
  double rate;      /* a second */
} bench_peak;

/* What the device can do, as far as it has been asked for: products by op, type and math. */
typedef struct bench_peaks {
  lamina_device *device;
  const bench_clock *clock;
  double seconds; /* that measuring one may take, roughly */
  double copy;    /* bytes a second; 0: not measured yet */
  double read;    /* bytes a second that the CPU reads; 0: not measured yet, or it is another device */
  double fma;     /* f32 operations a second of the CPU; 0: not measured yet, or it is another device */
  struct {
    const char *op;
    int32_t dtype, math;
    double rate;
  } product[BENCH_MOST_PEAKS];
  int products;
  lamina_status (*found)(void *user, const bench_peak *peak); /* is told of each */
  void *user;
} bench_peaks;

/* The seconds that the problem takes at least: its operations at the rate of the device's best product of that type, or
 * its bytes at the rates of its best copy and reads. *compute: it is the operations. Measures what isn't known yet. */
lamina_status bench_bound(bench_peaks *peaks, const lamina_problem *problem, double *seconds, bool *compute);

/* ---- Rows ---------------------------------------------------------------------------------------------------------- */

/* What came out for one candidate of one problem. */
typedef struct bench_row {
  const char *name;             /* of the problem in its file; "" */
  const char *problem;          /* in the command's grammar */
  const char *device;           /* "cuda:0" */
  const char *engine, *variant; /* "kernel", "64x64" */
  const char *skipped;          /* why it wasn't run; "": it was */
  const char *checked;          /* "exact, full", "WRONG", "no" */
  const char *bound;            /* "compute", "memory"; "": it isn't known */
  bool chosen;                  /* what a plan without a choice takes */
  int samples;
  double seconds, spread, estimate, flops, bytes, least; /* `least`: the seconds of the bound */
  size_t workspace;
  double images; /* of a net's step, its batch; 0: the row is of an op, and the rest means nothing */
  size_t memory; /* the most that was resident, bytes; `workspace` is what the device gave it */
} bench_row;

/* Where rows go. */
typedef struct bench_report {
  const char *csv_path, *json_path; /* NULL: none */
  FILE *csv, *json;                 /* NULL: nothing has been written yet, and what was there before is there still */
  const lamina_device *device;
  bool table; /* on standard output */
  bool cold;
} bench_report;

/* Looks whether the files that are asked for can be written (NULL: none; "-": standard output, which then has no table);
 * they are with the first row. Returns 0 or an exit code; the reason is said. */
int bench_report_open(const cli_command *self, const char *csv, const char *json, bench_report *report);
/* Says if not all could be written. Returns 0 or an exit code. */
int bench_report_close(const cli_command *self, bench_report *report);
/* The device, what it could do by its clocks, and how its cache is treated. */
void bench_report_device(bench_report *report, const lamina_device *device, bool cold);
lamina_status bench_report_peak(bench_report *report, const bench_peak *peak);
/* The rows of one problem, best first. */
lamina_status bench_report_rows(bench_report *report, const bench_row *rows, int count);

/* Compares two JSON files; 1 where B has something slower or wrong. The reason of an error is said. */
int bench_compare(const cli_command *self, const char *a_path, const char *b_path);

/* ---- One problem ---------------------------------------------------------------------------------------------------- */

/* How its candidates are run. */
typedef struct bench_how {
  lamina_device *device;
  const bench_clock *clock;
  bench_peaks *peaks;
  const char *engine; /* only this one; NULL: all */
  double seconds;     /* each candidate is timed so long */
  double deadline;    /* by progress_now, for all; 0: none. What is left then is shared by the candidates */
  bool brief;         /* one check of chosen elements, and no candidate that is far behind */
  bench_report *report;
} bench_how;

/* Checks and times all candidates and reports them; *wrong is set where one is. */
lamina_status bench_case(const bench_how *how, const char *name, const lamina_case *c, bool *wrong);

/* ---- A whole net ----------------------------------------------------------------------------------------------------- */

typedef struct bench_net {
  lamina_device *device;
  bench_peaks *peaks;
  bench_report *report;
  const char *path, *name; /* of the recipe or checkpoint: the file, and as it was said */
  const char *const *sets; /* NULL-terminated */
  int64_t batch;           /* 0: the recipe's, else 64 */
  double seconds;          /* each mode is timed so long */
  bool inference, training;
  bool turns;        /* a block of steps for each line of standard input */
  bool profile;      /* of some steps more, a table where there is one */
  const char *trace; /* and a file; NULL: none */
} bench_net;

/* Times inference, then training, and reports them. */
lamina_status bench_run_net(const bench_net *how);

#endif
