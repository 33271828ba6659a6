-- halo.path: paths as texts.

local path = require "halo.path"

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
    { "extension", { "a.b/c" }, "" },
    { "normalize", { "/a/./b/../c//d/" }, "/a/c/d" },
    { "normalize", { "../a/../../b" }, "../../b" },
    { "normalize", { "/.." }, "/" },
    { "normalize", { "a/.." }, "." },
    { "is_absolute", { "/a" }, true },
    { "is_absolute", { "a" }, false },
  } do
    it(("says that %s of '%s' is '%s'"):format(case[1], table.concat(case[2], "', '"),
      tostring(case[3])), function()
      assert.equal(case[3], path[case[1]](unpack(case[2])))
    end)
  end
end)
