/* The rest of each command's help: details and examples. */
#ifndef LAMINA_TOOL_HELP_H
#define LAMINA_TOOL_HELP_H

extern const char help_train[], help_eval[], help_predict[], help_op[], help_verify[], help_bench[], help_info[],
    help_tune[];

#endif
