/* Layers of convolution. */
#include "lamina/conv.h"
#include "lamina/conv_transpose.h"
#include "lamina/local_conv.h"
#include "net/layers.h"

static const lamina_attr_def conv_attrs[] = {
    {LAMINA_FIELD(lamina_conv_layer, filters), .type = LAMINA_ATTR_INT, LAMINA_AT_LEAST_ONE},
    {LAMINA_FIELD(lamina_conv_layer, kernel), .type = LAMINA_ATTR_AXES, .most = 0x1p31},
    {LAMINA_FIELD(lamina_conv_layer, stride), .type = LAMINA_ATTR_AXES, .most = 0x1p31},
    {LAMINA_FIELD(lamina_conv_layer, pad), .type = LAMINA_ATTR_PADS, .most = 0x1p31},
    {LAMINA_FIELD(lamina_conv_layer, same), .type = LAMINA_ATTR_BOOL},
    {LAMINA_FIELD(lamina_conv_layer, dilation), .type = LAMINA_ATTR_AXES, .most = 0x1p31},
    {LAMINA_FIELD(lamina_conv_layer, groups), .type = LAMINA_ATTR_INT, .preset = 1, LAMINA_AT_LEAST_ONE},
    LAMINA_BIAS_ATTR(lamina_conv_layer),
    LAMINA_INIT_ATTR(lamina_conv_layer),
    {LAMINA_FIELD(lamina_conv_layer, flip), .type = LAMINA_ATTR_BOOL},
    {0}};

static lamina_status expand_conv(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_conv_layer *l = (const void *)layer->attr;
  const lamina_desc in = graph->values[graph->x].desc;
  int axes;
  LAMINA_TRY(lamina_layer_spatial(graph, &axes));
  if (!l->kernel[0]) return lamina_error(LAMINA_INVALID, "kernel is missing");
  if (in.dims[1] % l->groups)
    return lamina_error(LAMINA_INVALID, "the %lld channels of its input can't be split into %lld groups",
                        (long long)in.dims[1], (long long)l->groups);
  lamina_conv conv = {.groups = l->groups, .flip = l->flip};
  int64_t w[LAMINA_MAX_RANK] = {l->filters, in.dims[1] / l->groups};
  double taps = 1;
  LAMINA_TRY(lamina_layer_spread("kernel", &w[2], l->kernel, axes));
  LAMINA_TRY(lamina_layer_spread("stride", conv.stride, l->stride, axes));
  LAMINA_TRY(lamina_layer_spread("dilation", conv.dilation, l->dilation, axes));
  LAMINA_TRY(lamina_layer_pads(conv.pad, l->pad, axes));
  for (int a = 0; a < axes; a++) {
    const int64_t reach = (w[2 + a] - 1) * (conv.dilation[a] ? conv.dilation[a] : 1);
    if (l->same && (l->pad[a][0] || l->pad[a][1]))
      return lamina_error(LAMINA_INVALID, "pad is given beside `same`; expected one of them");
    if (l->same) conv.pad[a][0] = reach / 2, conv.pad[a][1] = reach - reach / 2;
    taps *= (double)w[2 + a];
  }
  int arg[] = {graph->x, LAMINA_ABSENT, LAMINA_ABSENT, LAMINA_FRESH};
  LAMINA_TRY(
      lamina_graph_param(graph, layer, 0, in.rank, w, (double)w[1] * taps, (double)(w[0] / l->groups) * taps, &arg[1]));
  if (l->bias) LAMINA_TRY(lamina_graph_param(graph, layer, 1, 1, w, 0, 0, &arg[2]));
  LAMINA_TRY(lamina_graph_emit(graph, "conv/forward", &conv, arg));
  graph->x = arg[3];
  return LAMINA_OK;
}

/* ---- conv_transpose --------------------------------------------------------------------------------------------- */

static const lamina_attr_def transpose_attrs[] = {
    {LAMINA_FIELD(lamina_conv_transpose_layer, filters), .type = LAMINA_ATTR_INT, LAMINA_AT_LEAST_ONE},
    {LAMINA_FIELD(lamina_conv_transpose_layer, kernel), .type = LAMINA_ATTR_AXES, .most = 0x1p31},
    {LAMINA_FIELD(lamina_conv_transpose_layer, stride), .type = LAMINA_ATTR_AXES, .most = 0x1p31},
    {LAMINA_FIELD(lamina_conv_transpose_layer, pad), .type = LAMINA_ATTR_PADS, .most = 0x1p31},
    {LAMINA_FIELD(lamina_conv_transpose_layer, output_pad), .type = LAMINA_ATTR_AXES, .most = 0x1p31},
    {LAMINA_FIELD(lamina_conv_transpose_layer, dilation), .type = LAMINA_ATTR_AXES, .most = 0x1p31},
    {LAMINA_FIELD(lamina_conv_transpose_layer, groups), .type = LAMINA_ATTR_INT, .preset = 1, LAMINA_AT_LEAST_ONE},
    LAMINA_BIAS_ATTR(lamina_conv_transpose_layer),
    LAMINA_INIT_ATTR(lamina_conv_transpose_layer),
    {0}};

static lamina_status expand_transpose(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_conv_transpose_layer *l = (const void *)layer->attr;
  const lamina_desc in = graph->values[graph->x].desc;
  int axes;
  LAMINA_TRY(lamina_layer_spatial(graph, &axes));
  if (!l->kernel[0]) return lamina_error(LAMINA_INVALID, "kernel is missing");
  if (l->filters % l->groups)
    return lamina_error(LAMINA_INVALID, "its %lld filters can't be split into %lld groups", (long long)l->filters,
                        (long long)l->groups);
  lamina_conv_transpose conv = {.groups = l->groups};
  int64_t w[LAMINA_MAX_RANK] = {in.dims[1], l->filters / l->groups};
  double taps = 1, strides = 1;
  LAMINA_TRY(lamina_layer_spread("kernel", &w[2], l->kernel, axes));
  LAMINA_TRY(lamina_layer_spread("stride", conv.stride, l->stride, axes));
  LAMINA_TRY(lamina_layer_spread("dilation", conv.dilation, l->dilation, axes));
  LAMINA_TRY(lamina_layer_pads(conv.pad, l->pad, axes));
  memcpy(conv.output_pad, l->output_pad, sizeof conv.output_pad);
  for (int a = 0; a < axes; a++) {
    taps *= (double)w[2 + a];
    if (conv.stride[a]) strides *= (double)conv.stride[a];
  }
  int arg[] = {graph->x, LAMINA_ABSENT, LAMINA_ABSENT, LAMINA_FRESH};
  const double fan_in = (double)(in.dims[1] / l->groups) * taps / strides, fan_out = (double)w[1] * taps;
  LAMINA_TRY(lamina_graph_param(graph, layer, 0, in.rank, w, fan_in, fan_out, &arg[1]));
  if (l->bias) LAMINA_TRY(lamina_graph_param(graph, layer, 1, 1, &l->filters, 0, 0, &arg[2]));
  LAMINA_TRY(lamina_graph_emit(graph, "conv_transpose/forward", &conv, arg));
  graph->x = arg[3];
  return LAMINA_OK;
}

/* ---- local_conv ------------------------------------------------------------------------------------------------- */

static const lamina_attr_def local_attrs[] = {
    {LAMINA_FIELD(lamina_local_conv_layer, filters), .type = LAMINA_ATTR_INT, LAMINA_AT_LEAST_ONE},
    {LAMINA_FIELD(lamina_local_conv_layer, kernel), .type = LAMINA_ATTR_AXES, .most = 0x1p31},
    {LAMINA_FIELD(lamina_local_conv_layer, stride), .type = LAMINA_ATTR_AXES, .most = 0x1p31},
    {LAMINA_FIELD(lamina_local_conv_layer, pad), .type = LAMINA_ATTR_PADS, .most = 0x1p31},
    {LAMINA_FIELD(lamina_local_conv_layer, dilation), .type = LAMINA_ATTR_AXES, .most = 0x1p31},
    {LAMINA_FIELD(lamina_local_conv_layer, groups), .type = LAMINA_ATTR_INT, .preset = 1, LAMINA_AT_LEAST_ONE},
    LAMINA_BIAS_ATTR(lamina_local_conv_layer),
    LAMINA_INIT_ATTR(lamina_local_conv_layer),
    {0}};

static lamina_status expand_local(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_local_conv_layer *l = (const void *)layer->attr;
  const lamina_desc in = graph->values[graph->x].desc;
  int axes;
  LAMINA_TRY(lamina_layer_spatial(graph, &axes));
  if (!l->kernel[0]) return lamina_error(LAMINA_INVALID, "kernel is missing");
  if (in.dims[1] % l->groups)
    return lamina_error(LAMINA_INVALID, "the %lld channels of its input can't be split into %lld groups",
                        (long long)in.dims[1], (long long)l->groups);
  lamina_local_conv conv = {.groups = l->groups};
  int64_t w[LAMINA_MAX_RANK], b[LAMINA_MAX_RANK] = {l->filters};
  double taps = 1;
  w[axes] = l->filters, w[axes + 1] = in.dims[1] / l->groups;
  LAMINA_TRY(lamina_layer_spread("kernel", &w[axes + 2], l->kernel, axes));
  LAMINA_TRY(lamina_layer_spread("stride", conv.stride, l->stride, axes));
  LAMINA_TRY(lamina_layer_spread("dilation", conv.dilation, l->dilation, axes));
  LAMINA_TRY(lamina_layer_pads(conv.pad, l->pad, axes));
  for (int a = 0; a < axes; a++) {
    const int64_t reach = (w[axes + 2 + a] - 1) * (conv.dilation[a] ? conv.dilation[a] : 1);
    const int64_t room = in.dims[2 + a] + conv.pad[a][0] + conv.pad[a][1] - reach - 1;
    if (room < 0)
      return lamina_error(LAMINA_INVALID, "its filter needs %lld elements on spatial axis %d, and its input has %lld",
                          (long long)reach + 1, a, (long long)(room + reach + 1));
    w[a] = b[1 + a] = room / (conv.stride[a] ? conv.stride[a] : 1) + 1;
    taps *= (double)w[axes + 2 + a];
  }
  int arg[] = {graph->x, LAMINA_ABSENT, LAMINA_ABSENT, LAMINA_FRESH};
  LAMINA_TRY(lamina_graph_param(graph, layer, 0, 2 + 2 * axes, w, (double)w[axes + 1] * taps,
                                (double)(l->filters / l->groups) * taps, &arg[1]));
  if (l->bias) LAMINA_TRY(lamina_graph_param(graph, layer, 1, 1 + axes, b, 0, 0, &arg[2]));
  LAMINA_TRY(lamina_graph_emit(graph, "local_conv/forward", &conv, arg));
  graph->x = arg[3];
  return LAMINA_OK;
}

const lamina_layer_def lamina_layers_conv[] = {{.name = "conv",
                                                .about = "convolution over 1 to 3 spatial axes",
                                                .attrs = conv_attrs,
                                                .attr_size = sizeof(lamina_conv_layer),
                                                .params = lamina_weights_and_bias,
                                                .expand = expand_conv},
                                               {.name = "conv_transpose",
                                                .about = "transposed convolution, which makes pictures larger",
                                                .attrs = transpose_attrs,
                                                .attr_size = sizeof(lamina_conv_transpose_layer),
                                                .params = lamina_weights_and_bias,
                                                .expand = expand_transpose},
                                               {.name = "local_conv",
                                                .about = "convolution with filters of its own at every position",
                                                .attrs = local_attrs,
                                                .attr_size = sizeof(lamina_local_conv_layer),
                                                .params = lamina_weights_and_bias,
                                                .expand = expand_local},
                                               {0}};
