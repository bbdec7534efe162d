/* A plug-in that does what $FIXTURE_PLUGIN says, for tests of what may go wrong with one. It links nothing of Lamina. */
#include <stdlib.h>
#include <string.h>

#include "lamina/module.h"

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  (void)device, (void)problem, (void)engine;
  each(context, "", 1e-9, "");
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  (void)plan, (void)args, (void)workspace, (void)stream;
  return LAMINA_OK;
}

static lamina_engine engine(const char *op) {
  return (lamina_engine){.size = sizeof(lamina_engine),
                         .abi = LAMINA_ENGINE_ABI,
                         .device = "cpu",
                         .name = "fixture",
                         .op = op,
                         .candidates = candidates,
                         .run = run};
}

LAMINA_API lamina_plugin_open_fn lamina_plugin_open;
lamina_status lamina_plugin_open(const lamina_host *host, lamina_device *device) {
  static lamina_engine first, second;
  const char *wish = getenv("FIXTURE_PLUGIN");
  if (!wish) wish = "";
  first = engine("relu/forward"), second = engine("relu/backward");
  if (strcmp(wish, "nothing") == 0) return LAMINA_OK;
  if (strcmp(wish, "silent") == 0) return LAMINA_UNSUPPORTED;
  if (strcmp(wish, "refuses") == 0) return host->error(LAMINA_UNSUPPORTED, "it wants %d unicorns", 2);
  if (strcmp(wish, "old row") == 0) first.abi = 99;
  if (strcmp(wish, "half") == 0) second.run = NULL;
  const lamina_status status = host->engine_register(device, &first);
  return status ? status : host->engine_register(device, &second);
}
