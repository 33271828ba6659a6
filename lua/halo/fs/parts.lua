-- Which module holds which function of halo.fs beside the plain calls. They are loaded when the
-- first of theirs is asked for: a short script should not wait for what it does not use.

return {
  mkdir = "halo.fs.rmtree",
  rmtree = "halo.fs.rmtree",
  walk = "halo.fs.walk",
  glob = "halo.fs.glob",
  copy = "halo.fs.copy",
  copytree = "halo.fs.copy",
  move = "halo.fs.copy",
  at = "halo.fs.at",
  readfile = "halo.fs.writefile",
  readfile_into = "halo.fs.writefile",
  writefile = "halo.fs.writefile",
  lines = "halo.fs.writefile",
  mkstemp = "halo.fs.temp",
  mkdtemp = "halo.fs.temp",
  tempfile = "halo.fs.temp",
  dir = "halo.fs.dir",
  watch = "halo.fs.watch",
  poll = "halo.fs.poll",
}
