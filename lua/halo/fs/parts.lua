-- Which module holds which function of halo.fs beside the plain calls. They are loaded when the
-- first of theirs is asked for: a short script should not wait for what it does not use.

return {
  mkdir = "halo.fs.tree",
  rmtree = "halo.fs.tree",
  walk = "halo.fs.walk",
  glob = "halo.fs.glob",
  copy = "halo.fs.copy",
  copytree = "halo.fs.copy",
  move = "halo.fs.copy",
  at = "halo.fs.at",
  readfile = "halo.fs.whole",
  readfile_into = "halo.fs.whole",
  writefile = "halo.fs.whole",
  lines = "halo.fs.whole",
  mkstemp = "halo.fs.temp",
  mkdtemp = "halo.fs.temp",
  tempfile = "halo.fs.temp",
  dir = "halo.fs.dir",
  watch = "halo.fs.watch",
  poll = "halo.fs.poll",
}
