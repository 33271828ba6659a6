-- What `make check` asks of the Lua files: nothing undefined, unused or shadowed, 100 columns.
std = "luajit"
max_line_length = 100

-- Specs run under busted, which brings describe, it, assert.same and their kin.
files["spec"] = { std = "+busted" }

-- A script may fill in the arguments that it was not given.
files["examples"] = { globals = { "arg" } }
