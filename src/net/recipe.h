/* From a recipe to a net. */
#ifndef LAMINA_NET_RECIPE_H
#define LAMINA_NET_RECIPE_H

#include "core/device.h"
#include "net/net.h"

/* A recipe in a file, or in a text that errors call `name`. `load` may be NULL. */
lamina_status lamina_recipe_read(lamina_device *device, const char *path, const lamina_load_options *load,
                                 lamina_net **net);
lamina_status lamina_recipe_parse(lamina_device *device, const char *name, const char *text,
                                  const lamina_load_options *load, lamina_net **net);

#endif
