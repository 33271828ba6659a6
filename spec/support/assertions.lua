-- Two assertions about calls that do not succeed, one for each way:
--
--     assert.refused("ENOENT: no such file or directory: /nope", fs.open("/nope"))
--
-- is what the operating system refuses: the results are nil, this message, and the code it begins
-- with. And
--
--     assert.misuse("bad argument #1 to 'open' (...)", function() fs.open(12) end)
--
-- is what raises: an error with this message, and with the line of the function in front.

local assert = require "luassert"
local say = require "say"

say:set("assertion.refused", "It should have been refused by nil, a message and a code.")
say:set("assertion.misuse", "It should have raised an error at the caller's line.")

local function show(values, first)
  local shown = {}
  for i = first, values.n do
    table.insert(shown, type(values[i]) == "string" and ("%q"):format(values[i])
      or tostring(values[i]))
  end
  return #shown > 0 and table.concat(shown, ", ") or "nothing"
end

local function refused(state, arguments)
  local expected = arguments[1]
  local code = expected:match("^%u[%u%d]*")
  state.failure_message = ("Expected: nil, %q, %q\nGot: %s"):format(expected, code,
    show(arguments, 2))
  return arguments.n == 4 and arguments[2] == nil and arguments[3] == expected
    and arguments[4] == code
end

local function misuse(state, arguments)
  local expected, call = arguments[1], arguments[2]
  local ok, message = pcall(call)
  local place = debug.getinfo(call, "S")
  expected = ("%s:%d: %s"):format(place.short_src, place.linedefined, expected)
  state.failure_message = ("Expected: %s\nGot: %s"):format(expected,
    ok and "no error" or tostring(message))
  return not ok and message == expected
end

assert:register("assertion", "refused", refused, "assertion.refused", "assertion.refused")
assert:register("assertion", "misuse", misuse, "assertion.misuse", "assertion.misuse")
