/* The confusion matrix of a network on a dataset, for the commands that show one. */
#ifndef LAMINA_TOOL_CONFUSION_H
#define LAMINA_TOOL_CONFUSION_H

#include <stdio.h>

#include "lamina/lamina.h"

typedef struct confusion {
  lamina_confusion matrix; /* its names and counts are this struct's */
  const char **names;
  int64_t *counts;
} confusion;

/* Counts; confusion_close frees, whatever came of it. */
lamina_status confusion_open(confusion *c, lamina_net *net, const lamina_dataset *data, int64_t batch);
void confusion_close(confusion *c);
/* A line a class: how many of it were right, and what it was most often taken for. */
void confusion_print(const confusion *c, FILE *to);
void confusion_json(const confusion *c, lamina_json *json);

#endif
