/* Losses and optimizers are families of ops: what the table of ops has, a recipe may name. */
#include <stdio.h>

#include "core/problem.h"
#include "net/net.h"

enum { MOST = 32 };
typedef struct families {
  char name[MOST][48];
  const char *list[MOST + 1];
  int count;
} families;

/* Adds the op's family, if the op is its `pass`. */
static void add_family(const lamina_op_def *op, const char *pass, families *found) {
  const char *slash = strrchr(op->name, '/');
  char *name = found->name[found->count];
  if (strcmp(slash + 1, pass) != 0 || found->count == MOST) return;
  snprintf(name, sizeof found->name[0], "%.*s", (int)(slash - op->name), op->name);
  found->list[found->count++] = name;
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

/* A loss has a reduction, and labels or a target: 1 for the label's class and 0 for the others, so not the binary hinge,
 * whose targets are 1 and -1. */
lamina_status lamina_loss_check(const char *family) {
  families known = {.count = 0};
  for (int id = 0; lamina_op_at(id); id++) {
    const lamina_op_def *op = lamina_op_at(id);
    bool reduces = false;
    for (const lamina_attr_def *attr = op->attrs; attr->name; attr++) reduces |= strcmp(attr->name, "reduction") == 0;
    if (reduces && (lamina_op_arg(op, "labels") >= 0 || lamina_op_arg(op, "target") >= 0) &&
        strncmp(op->name, "binary_hinge/", 13) != 0)
      add_family(op, "forward", &known);
  }
  return check(&known, "loss", family);
}

lamina_status lamina_net_criterion(const lamina_net *net, const char *family, const void *attrs,
                                   lamina_criterion *criterion) {
  const lamina_criterion *recipe = &net->defaults.loss;
  const char *name = family ? family : recipe->family[0] ? recipe->family : "softmax_cross_entropy";
  char op[64];
  *criterion = (lamina_criterion){.family = ""};
  LAMINA_TRY(lamina_loss_check(name));
  snprintf(criterion->family, sizeof criterion->family, "%s", name);
  snprintf(op, sizeof op, "%.47s/forward", name);
  const lamina_op_def *def = lamina_op_at(lamina_op_find(op));
  if (attrs)
    memcpy(criterion->attr, attrs, def->attr_size);
  else if (strcmp(name, recipe->family) == 0)
    memcpy(criterion->attr, recipe->attr, sizeof criterion->attr);
  LAMINA_TRY(lamina_attrs_check(op, def->attrs, criterion->attr));
  for (const lamina_attr_def *attr = def->attrs; attr->name; attr++) /* steps and evaluations take the mean */
    if (strcmp(attr->name, "reduction") == 0) memset(criterion->attr + attr->offset, 0, sizeof(int64_t));
  return LAMINA_OK;
}

lamina_status lamina_optimizer_check(const char *family) {
  families known = {.count = 0};
  for (int id = 0; lamina_op_at(id); id++)
    if (lamina_op_arg(lamina_op_at(id), "w") >= 0) add_family(lamina_op_at(id), "update", &known);
  return check(&known, "optimizer", family);
}
