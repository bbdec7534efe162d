#ifndef LAMINA_TOOL_INFO_NET_H
#define LAMINA_TOOL_INFO_NET_H

#include "cli.h"

/* Shows the network of a recipe or checkpoint, planned for a batch. Returns an exit code. */
int info_net(const cli_command *self, const char *word, const cli_place *place, int64_t batch, bool engines, bool json);

#endif
