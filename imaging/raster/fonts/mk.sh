#!/bin/sh
# Makes the embedded fonts from Debian's fonts-dejavu-core and fonts-thai-tlwg with python3-fonttools.
set -e
cd "$(dirname "$0")"
subset() { /usr/bin/python3 -m fontTools.subset "$1" --unicodes="$3" --layout-features='*' --no-hinting --name-IDs=0,1,2,5,13 --output-file="$2"; }
latin=U+0020-007E,U+00A0-036F
scripts=U+0531-058A,U+0591-05F4,U+0600-06FF,U+0750-077F,U+10A0-10FF,U+1E00-1EFF,U+2000-206F,U+FB00-FB4F
signs=U+0370-052F,U+1F00-1FFF,U+2070-209F,U+20A0-20BF,U+2100-22FF,U+2300-2328,U+23B0-23FF,U+2500-27BF,U+FFFD
subset /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf DejaVuSans-subset.ttf "$latin,$scripts,$signs"
subset /usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf DejaVuSans-Bold-subset.ttf "$latin,$scripts"
subset /usr/share/fonts/truetype/tlwg/Waree.ttf Waree-subset.ttf U+0020-007E,U+00A0-00FF,U+0E01-0E5B,U+200B-200D,U+25CC
