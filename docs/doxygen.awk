# What Doxygen reads of a public header, line for line, so that its warnings name the right places:
#
#   awk -f docs/doxygen.awk include/lamina/conv.h
#
# The headers are written for people who open them. For Doxygen
#   - the comment that a file begins with becomes the file's; its tables and formulas stay as they stand
#   - in other comments, lines that are indented further (formulas) stay as they stand
#   - a comment on `int a, b;` is both fields'
#   - an enum by X-macro becomes its constants, each with its meaning
#   - LAMINA_PLANNED becomes the two functions that it declares, and the fields of the args structs say what they are

# ---- The file's comment: its first paragraph, and the rest as it stands -----------------------------------------------
NR == 1 && sub(/^\/\* /, "/** ") { in_head = 1 }
in_head {
  ends = sub(/ *\*\/ *$/, "")
  if (NR > 1) sub(/^ \* ?/, "")
  if (!as_it_stands && $0 == "" && !ends) { $0 = "@verbatim"; as_it_stands = 1 }
  if (ends) $0 = $0 (as_it_stands ? " @endverbatim" : "") " @file */"
  if (ends) in_head = as_it_stands = 0
  print
  next
}

# ---- Other comments ---------------------------------------------------------------------------------------------------
/^ *\/\*\*/ && !/\*\// { in_comment = 1; in_list = 0; print; next }
in_comment {
  ends = /\*\/ *$/
  if ($0 ~ /^ *\*  ? ?- /) in_list = 1
  indented = $0 ~ /^ *\*    +[^ ]/
  if (!indented) in_list = in_list && $0 ~ /^ *\*  ? ?- /
  if (indented && !in_list && !as_it_stands) { sub(/\*/, "* @verbatim"); as_it_stands = 1 }
  else if (as_it_stands && indented) sub(/^ *\*    /, "")
  else if (as_it_stands) sub(/\*/, "@endverbatim")
  if (!indented) as_it_stands = 0
  if (ends && as_it_stands) { sub(/ *\*\/ *$/, " @endverbatim */"); as_it_stands = 0 }
  if (ends) in_comment = 0
  print
  next
}

# ---- X-macros ---------------------------------------------------------------------------------------------------------
# X(NAME, "meaning") or X(NAME, bytes, …), the rows of LAMINA_STATUS_MAP and LAMINA_DTYPE_MAP.
/^#define LAMINA_[A-Z]+_MAP\(X\)/ { rows = 0 }
/^  X\(/ {
  row = $0
  gsub(/^  X\(|\) *\\? *$/, "", row)
  name[rows] = meaning[rows] = row
  sub(/,.*/, "", name[rows])
  sub(/^[^,]*, */, "", meaning[rows])
  if (!gsub(/"/, "", meaning[rows])) sub(/,.*/, meaning[rows] ~ /^1,/ ? " byte" : " bytes", meaning[rows])
  rows++
}
/^#define X\(|^#undef X/ { print ""; next }
/^  LAMINA_[A-Z]+_MAP\(X\)$/ {
  for (i = 0; i < rows; i++) printf "  LAMINA_%s, /**< %s */", name[i], meaning[i]
  print ""
  next
}

# ---- The planned form of a call ---------------------------------------------------------------------------------------
/^LAMINA_PLANNED\(/ { planned = ""; in_planned = 1 }
in_planned {
  line = $0
  sub(/^ +/, "", line)
  planned = planned (planned == "" ? "" : " ") line
  if ($0 !~ /\);$/) { print ""; next }
  in_planned = 0
  gsub(/^LAMINA_PLANNED\(|\);$/, "", planned)
  call = planned
  sub(/,.*/, "", call)
  sub(/^[^,]*, /, "", planned)
  printf "/** Plans lamina_%s: see LAMINA_PLANNED. */ ", call
  printf "lamina_status lamina_%s_plan(lamina_device *device, %s, const lamina_plan_options *options, lamina_plan **plan); ",
         call, planned
  printf "/** Runs a plan of lamina_%s: see LAMINA_PLANNED. */ ", call
  printf "lamina_status lamina_%s_run(const lamina_plan *plan, const lamina_%s_args *args, void *workspace, lamina_stream *stream);\n",
         call, call
  next
}

# ---- Fields -----------------------------------------------------------------------------------------------------------
/^typedef lamina_[a-z0-9_]+_args lamina_[a-z0-9_]+_args;/ { sub(/^/, "/** The same pointers. */ ") }
/^typedef struct [a-z0-9_]+_args {$/ {
  of = $3
  sub(/_args$/, "", of)
  sub(/^/, "/** The data pointers of " of ", in the order of its row. */ ")
}
/^} / { of = "" }
/^  [a-z][^()]*;/ {
  comment = ""
  if (match($0, /\/\*\*<.*/)) comment = substr($0, RSTART) # (it may go on in the next line)
  else if (of != "") comment = "/**< data of the argument of this name */"
  fields = $0
  sub(/;.*/, "", fields)
  type = fields
  if (match(fields, /^ +((const|struct|unsigned) )*[a-z0-9_]+ /)) {
    type = substr(fields, RSTART, RLENGTH)
    n = split(substr(fields, RLENGTH + 1), field, ", ")
    if (comment != "" && comment ~ /\*\/ *$/) {
      for (i = 1; i <= n; i++) printf "%s%s; %s", type, field[i], comment
      print ""
      next
    }
  }
}
{ print }
