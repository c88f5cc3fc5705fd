#!/bin/sh
# Renders clip.mp4 (a sun sets over the sea, to a slow arpeggio) and still.jpg from nothing but formulas.
set -eu
cd "$(dirname "$0")"
: "${FFMPEG:=ffmpeg}"

sun='hypot(X-320,Y-70-20*T)'
sky='lt(Y,230)'
glitter='exp(-abs(X-320+9*sin(Y/6+2*T))/(14+(Y-230)*0.4))*(0.55+0.45*sin(Y*0.7-5*T))'
picture="geq=
 r='if($sky,if(lt($sun,46),255,70+110*Y/230+90*exp(-$sun/90)),30+20*(Y-230)/130+190*$glitter)':
 g='if($sky,if(lt($sun,46),226-Y/4,44+70*Y/230+60*exp(-$sun/80)),46+20*(Y-230)/130+130*$glitter)':
 b='if($sky,if(lt($sun,46),130-Y/4,110-10*Y/230+10*exp(-$sun/80)),92-20*(Y-230)/130+30*$glitter)'"
note='220*pow(2,(mod(floor(t*3)*7,12)+3)/12)'
sound="aevalsrc='0.3*sin(2*PI*$note*t)*exp(-3*mod(t,1/3))|0.3*sin(2*PI*1.003*$note*t)*exp(-3*mod(t,1/3))':s=48000"

"$FFMPEG" -v error -y -f lavfi -i "color=black:size=640x360:rate=25,format=gbrp,$(echo "$picture" | tr -d '\n ')" \
  -f lavfi -i "$sound" -t 9 \
  -c:v libx264 -preset veryslow -crf 25 -pix_fmt yuv420p -colorspace bt709 -color_primaries bt709 -color_trc bt709 \
  -c:a aac -b:a 64k -fflags +bitexact -movflags +faststart clip.mp4
"$FFMPEG" -v error -y -ss 4 -i clip.mp4 -frames:v 1 -q:v 3 -fflags +bitexact still.jpg
