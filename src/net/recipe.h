/* From a recipe to a net, and back. */
#ifndef LAMINA_NET_RECIPE_H
#define LAMINA_NET_RECIPE_H

#include "core/text.h"
#include "net/net.h"

/* What a recipe calls lamina_math, NULL-terminated. */
extern const char *const lamina_math_names[];

/* A recipe in a file, or in a text that errors call `name`. `load` may be NULL. */
lamina_status lamina_recipe_read(lamina_device *device, const char *path, const lamina_load_options *load,
                                 lamina_net **net);
lamina_status lamina_recipe_parse(lamina_device *device, const char *name, const char *text,
                                  const lamina_load_options *load, lamina_net **net);
/* describe.c: input and layers, from which lamina_recipe_parse makes the same net; equal nets, equal text. */
lamina_status lamina_net_describe(const lamina_net *net, lamina_text *text);

#endif
