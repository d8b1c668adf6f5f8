# SPDX-License-Identifier: Apache-2.0
#
# What people do: copy a tree and compare it, compile and run on the mount, work with git.
# seconds: 900
. "$WEFT_TOP/tests/vm/lib.sh"
export HOME=$MNT GIT_CONFIG_NOSYSTEM=1

require "cluster starts" weft_up
require "mount" weft_mount
check "copy a tree" cp -a /usr/include/linux $MNT/linux
drop_caches
check "compare it" diff -r /usr/include/linux $MNT/linux
check "archive it" tar -C $MNT -cf $MNT/linux.tar linux
check "extract it" bash -c "mkdir $MNT/again && tar -C $MNT/again -xf $MNT/linux.tar"
check "compare that" diff -r $MNT/linux $MNT/again/linux

cat >$MNT/hello.c <<'C'
#include <stdio.h>
int main(void) { puts("hello"); return 0; }
C
check "compile" gcc -o $MNT/hello $MNT/hello.c
check "run from the mount" test "$($MNT/hello)" = hello
drop_caches
check "run it cold" test "$($MNT/hello)" = hello
cp /bin/sleep $MNT/sleep
$MNT/sleep 1000 &
sleeper=$!
expect_errno ETXTBSY bash -c ": >>$MNT/sleep"
kill $sleeper

mkdir $MNT/repo
cp $MNT/hello.c $MNT/linux/*.h $MNT/repo/
cd $MNT/repo || exit 1
check "git init" git init -q .
git config user.email weft@example.org
git config user.name weft
check "git add" git add .
check "git commit" git commit -q -m first
check "git fsck" git fsck --full --strict
check "git gc" git gc -q
check "git status is clean" test -z "$(git status --porcelain)"
cd /
require "unmount" weft_umount
require "mount again" weft_mount
check "git fsck after a remount" git -C $MNT/repo fsck --full --strict
require "unmount again" weft_umount
