-- halo.path: paths as texts.

local path = require "halo.path"
require "spec.support.assertions"

describe("halo.path", function()
  for _, case in ipairs {
    { "join", { "a", "b" }, "a/b" },
    { "join", { "a/", "b", "", "c" }, "a/b/c" },
    { "join", { "a", "/b" }, "/b" },
    { "join", {}, "" },
    { "basename", { "/a/b.txt" }, "b.txt" },
    { "basename", { "/a/b.txt", ".txt" }, "b" },
    { "basename", { ".txt", ".txt" }, ".txt" },
    { "basename", { "/a/b//" }, "b" },
    { "basename", { "/" }, "/" },
    { "basename", { "" }, "" },
    { "dirname", { "/a/b" }, "/a" },
    { "dirname", { "/a" }, "/" },
    { "dirname", { "a" }, "." },
    { "dirname", { "a//b/" }, "a" },
    { "dirname", { "/" }, "/" },
    { "extension", { "a/b.tar.gz" }, ".gz" },
    { "extension", { "a/.profile" }, "" },
    { "extension", { "a..txt" }, ".txt" },
    { "extension", { "a...b...txt" }, ".txt" },
    { "extension", { "..a..txt" }, ".txt" },
    { "extension", { "...profile" }, "" },
    { "extension", { "a.b." }, "." },
    { "extension", { "a.." }, "." },
    { "extension", { "a" }, "" },
    { "extension", { "." }, "" },
    { "extension", { ".." }, "" },
    { "extension", { "..." }, "" },
    { "extension", { "/" }, "" },
    { "extension", { "" }, "" },
    { "extension", { 1.5 }, ".5" },
    { "join", { "a", 5, "b" }, "a/5/b" },
    { "basename", { 12 }, "12" },
    { "basename", { "a12", 2 }, "a1" },
    { "basename", { "a", "" }, "a" },
    { "dirname", { 12 }, "." },
    { "normalize", { 12 }, "12" },
    { "extension", { "a.b/c" }, "" },
    { "normalize", { "/a/./b/../c//d/" }, "/a/c/d" },
    { "normalize", { "../a/../../b" }, "../../b" },
    { "normalize", { "/.." }, "/" },
    { "normalize", { "a/.." }, "." },
    { "is_absolute", { "/a" }, true },
    { "is_absolute", { "a" }, false },
    { "is_absolute", { 12 }, false },
  } do
    it(("says that %s of '%s' is '%s'"):format(case[1], table.concat(case[2], "', '"),
      tostring(case[3])), function()
      assert.equal(case[3], path[case[1]](unpack(case[2])))
    end)
  end

  for _, case in ipairs {
    { "join", 1, "nil", { n = 1 } },
    { "join", 2, "nil", { n = 3, "a", nil, "b" } },
    { "join", 3, "table", { n = 3, "a", "b", {} } },
    { "basename", 1, "nil", { n = 0 } },
    { "basename", 1, "boolean", { n = 1, false } },
    { "basename", 2, "table", { n = 2, "a", {} } },
    { "basename", 2, "boolean", { n = 2, "a", false } },
    { "dirname", 1, "table", { n = 1, {} } },
    { "extension", 1, "nil", { n = 0 } },
    { "normalize", 1, "userdata", { n = 1, io.stdout } },
    { "is_absolute", 1, "function", { n = 1, print } },
  } do
    local name, position, got, arguments = unpack(case)
    it(("refuses a %s as argument %d of %s, at the caller's line"):format(got, position, name),
      function()
        assert.misuse(("bad argument #%d to '%s' (path (a string) expected, got %s)"):format(
          position, name, got), function() path[name](unpack(arguments, 1, arguments.n)) end)
      end)
  end
end)
