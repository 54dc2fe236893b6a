# Copies a folder of an image, with owners, modes and times as far as this user may set them.
#
# For busybox's shell; $1 is its program, $2 the folder, $3 an empty one that gets what is in it.
# Fails with the reasons on stdout where something that can be read could not be written.
B=$1 FOLDER=$2 INTO=$3
said=$("$B" cp -a "$FOLDER/." "$INTO" 2>&1)
others=$(echo "$said" | "$B" grep -v -e '^$' -e 'Permission denied' -e "can't preserve")
if [ -n "$others" ]; then
    echo "$others"
    exit 1
fi
# What it may not read is there as well, and cannot be read there either.
cd "$FOLDER" || exit 1
"$B" find . -type f 2>/dev/null | while read -r file; do
    if [ ! -e "$INTO/$file" ]; then
        : >"$INTO/$file"
        "$B" chmod 0 "$INTO/$file"
    fi
done
exit 0
