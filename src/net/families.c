/* Losses and optimizers are families of ops: what the table of ops has, a recipe may name. */
#include <stdio.h>

#include "core/problem.h"
#include "net/net.h"

enum { MOST = 16 };
typedef struct families {
  char name[MOST][48];
  const char *list[MOST + 1];
  int count;
} families;

static bool has_pass(const char *family, const char *pass) {
  char name[80];
  snprintf(name, sizeof name, "%s/%s", family, pass);
  return lamina_op_find(name) >= 0;
}

/* Every family with `pass`, an argument `arg` in it, and, where `also` isn't NULL, that pass, too. */
static void find_families(const char *pass, const char *arg, const char *also, families *found) {
  *found = (families){.count = 0};
  for (int id = 0; lamina_op_at(id) && found->count < MOST; id++) {
    const lamina_op_def *op = lamina_op_at(id);
    const char *slash = strrchr(op->name, '/');
    char *name = found->name[found->count];
    if (strcmp(slash + 1, pass) != 0 || lamina_op_arg(op, arg) < 0) continue;
    snprintf(name, sizeof found->name[0], "%.*s", (int)(slash - op->name), op->name);
    if (!also || has_pass(name, also)) found->list[found->count++] = name;
  }
  found->list[found->count] = NULL;
}

static lamina_status check(const families *known, const char *what, const char *name) {
  char names[512] = "";
  for (int i = 0; i < known->count; i++) {
    if (strcmp(known->list[i], name) == 0) return LAMINA_OK;
    lamina_append(names, sizeof names, "%s%s", i == 0 ? "" : i + 1 < known->count ? ", " : " or ", known->list[i]);
  }
  const char *near = lamina_nearest(name, known->list);
  if (near) return lamina_error(LAMINA_INVALID, "there is no %s \"%.80s\"; did you mean \"%s\"?", what, name, near);
  return lamina_error(LAMINA_INVALID, "there is no %s \"%.80s\"; expected %s", what, name, names);
}

lamina_status lamina_loss_check(const char *family) {
  families known;
  find_families("forward", "labels", "backward", &known);
  return check(&known, "loss", family);
}

lamina_status lamina_optimizer_check(const char *family) {
  families known;
  find_families("update", "w", NULL, &known);
  return check(&known, "optimizer", family);
}
