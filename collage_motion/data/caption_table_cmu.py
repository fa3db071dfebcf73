"""The words for the CMU clips, as plain data: what the index says of a trial, and how a person would say it.

An index entry is a theme ("basketball - ...") and parts divided by commas; marks as in `caption_table`.
"""

from typing import Final

CMU_THEMES: Final[dict[str, tuple[str, ...]]] = {
    "dance": (
        "{dance} ballet", "{perform} a ballet dance", "{do} a modern dance", "{dance} gracefully",
        "{perform} a dance on a stage", "{practice} ballet steps", "{dance} like a ballet dancer",
    ),
    "basketball": (
        "{dribble} a basketball", "{play} basketball", "{bounce} a ball on the floor",
        "{practice} basketball", "{move} with a basketball", "{handle} a basketball",
    ),
    "playground": (
        "{play} on a playground", "{climb} around on a playground", "{play} outdoors like a child",
        "{exercise} on the monkey bars", "{move} about on playground bars", "{have} fun on a climbing frame",
    ),
}  # fmt: skip
"""What stands before the dash."""

CMU_PARTS: Final[dict[str, tuple[str, ...]]] = {
    "jump": (
        "{jump}", "{jump} up", "{leap} into the air", "{hop} up", "{make} a jump", "{jump} off the ground",
    ),
    "balance": (
        "{balance} on one leg", "{keep} {their} balance", "{stand} on one foot", "{balance}",
        "{wobble} and {find} {their} balance", "{hold} a balance with the arms out",
    ),
    "bend over": (
        "{bend} over", "{bend} down", "{lean} down toward the floor", "{stoop}",
        "{bend} forward to the ground",
        "{reach} down to the floor",
    ),
    "scoop up": (
        "{scoop} something up", "{pick} something up from the floor", "{scoop} up an object",
        "{gather} something from the ground", "{lift} something off the floor", "{take} something up",
    ),
    "rise": (
        "{rise} again", "{straighten} up", "{stand} back up", "{come} up again", "{rise} to {their} feet",
        "{stand} up straight",
    ),
    "lift arm": (
        "{lift} an arm", "{raise} one arm", "{hold} one arm up", "{stretch} an arm upward",
        "{bring} one arm up", "{put} an arm up in the air",
    ),
    "swordplay": (
        "{fight} with a sword", "{swing} a sword around", "{practice} swordplay", "{fence} with a sword",
        "{slash} and {parry} with a sword", "{duel} with a sword", "{wield} a sword",
    ),
    "wash self": (
        "{wash} {their} body", "{take} a shower", "{scrub} {their} body", "{clean} {their} arms and chest",
        "{wash} under a shower", "{rub} soap over {their} body", "{bathe}",
    ),
    "walk on uneven terrain": (
        "{walk} on uneven ground", "{walk} over rough terrain", "{step} over uneven ground",
        "{walk} carefully over bumps", "{make} {their} way over rocky ground", "{walk} on bumpy ground",
    ),
    "slow walk": (
        "{walk} slowly", "{stroll} slowly", "{walk} at a slow pace", "{take} slow steps",
        "{amble} along slowly",
        "{walk} forward slowly", "{walk} without hurry",
    ),
    "brisk walk": (
        "{walk} quickly", "{walk} briskly", "{stride} along at a brisk pace", "{walk} fast",
        "{hurry} along on foot",
        "{walk} forward at a fast pace",
    ),
    "forward jumps": (
        "{jump} forward", "{make} several jumps forward", "{leap} forward", "{hop} forward again and again",
        "{bound} forward", "{jump} ahead with both feet",
    ),
    "turn around": (
        "{turn} around", "{turn} back", "{spin} round to face the other way", "{make} a half turn",
        "{rotate} to face backward", "{swing} around",
    ),
    "climb": (
        "{climb} up", "{climb} onto a frame", "{clamber} up", "{pull} {their} body up", "{climb} over bars",
        "{scale} a climbing frame",
    ),
    "sit": (
        "{sit} down", "{take} a seat", "{sit}", "{sit} on a bar", "{settle} onto a seat", "{lower} to sit",
    ),
    "dangle legs": (
        "{dangle} {their} legs", "{let} {their} legs hang", "{swing} {their} legs while sitting",
        "{hang} {their} feet in the air", "{let} both legs dangle",
        "{kick} {their} legs gently while sitting",
    ),
    "rock back": (
        "{rock} back", "{lean} back", "{rock} backward", "{tip} {their} body back", "{swing} back",
        "{tilt} backward",
    ),
    "lower self to ground": (
        "{lower} {their} body to the ground", "{get} down to the ground", "{climb} down to the floor",
        "{let} {their} body down to the ground", "{come} down onto the floor", "{descend} to the ground",
    ),
    "jump down": (
        "{jump} down", "{leap} down", "{drop} down to the ground", "{jump} off", "{hop} down",
        "{spring} down",
    ),
    "dangle": (
        "{dangle} from a bar", "{hang} from a bar", "{hang} by {their} hands", "{dangle} in the air",
        "{hang} with loose legs", "{hold} on to a bar and {hang}",
    ),
    "legs push off against": (
        "{push} off with {their} legs", "{push} away with both feet", "{shove} off with the feet",
        "{press} the feet against something and {push} off", "{thrust} with {their} legs",
        "{kick} off with the legs",
    ),
    "pirouette": (
        "{spin} in a pirouette", "{do} a pirouette", "{twirl} on one foot", "{turn} a pirouette",
        "{spin} around on one leg", "{whirl} around on the toes",
    ),
    "jete": (
        "{leap} in a ballet jump", "{do} a jete", "{jump} from one foot to the other",
        "{leap} through the air",
        "{make} a dancer's leap", "{spring} into the air with the legs apart",
    ),
    "jete en tourant": (
        "{leap} with a turn", "{do} a turning leap", "{jump} and {spin} in the air", "{do} a turning jete",
        "{make} a spinning jump", "{leap} and {whirl} around",
    ),
    "arabesque": (
        "{stand} on one leg with the other stretched back", "{do} an arabesque", "{hold} an arabesque",
        "{lift} one leg behind the body", "{balance} in an arabesque", "{stretch} one leg out behind",
    ),
    "expressive arms": (
        "{move} {their} arms expressively", "{sweep} {their} arms through the air",
        "{dance} with flowing arms",
        "{wave} {their} arms softly in a dance", "{swing} {their} arms gracefully",
        "{dance} with wide arm movements",
    ),
    "sideways steps": (
        "{step} sideways", "{take} steps to the side", "{dance} sideways", "{sidestep} in a dance",
        "{move} sideways with dance steps", "{glide} to the side",
    ),
    "turn": (
        "{turn} around in a dance", "{turn}", "{make} a dance turn", "{spin} around", "{whirl} around",
        "{twirl}",
    ),
    "bending back": (
        "{bend} backward", "{lean} {their} upper body back", "{arch} {their} back", "{bend} back in a dance",
        "{curve} {their} body backward", "{tilt} the chest up and {bend} back",
    ),
    "folding arms": (
        "{fold} {their} arms", "{bring} {their} arms together", "{cross} {their} arms in front",
        "{close} {their} arms",
        "{draw} both arms in", "{fold} both arms in a dance",
    ),
    "raised leg": (
        "{raise} a leg high", "{lift} one leg above the hip", "{swing} a leg up",
        "{kick} a leg up in a dance",
        "{hold} one leg high", "{stretch} one leg up",
    ),
    "ballet steps": (
        "{glide} with ballet steps", "{take} small ballet steps", "{do} quick ballet footwork",
        "{dance} on {their} toes", "{point} {their} toes in a dance", "{step} lightly like a ballet dancer",
    ),
    "upper body rotation": (
        "{twist} {their} upper body", "{rotate} {their} torso", "{turn} the upper body from side to side",
        "{swing} {their} upper body around", "{dance} with a twisting torso", "{circle} {their} upper body",
    ),
    "arms held high": (
        "{hold} {their} arms high in a dance", "{dance} with the arms overhead",
        "{keep} both arms up while dancing",
        "{curve} both arms above the head", "{stretch} the arms up in a ballet pose",
        "{pose} with the arms up",
    ),
    "forward dribble": (
        "{dribble} a basketball forward", "{run} forward dribbling a ball", "{dribble} a ball ahead",
        "{bounce} a ball while moving forward", "{advance} with a basketball",
        "{move} forward bouncing a basketball",
    ),
    "backward dribble": (
        "{dribble} a basketball backward", "{back} up dribbling a ball",
        "{bounce} a ball while moving backward",
        "{dribble} a ball while walking backward", "{retreat} with a basketball",
        "{move} backward bouncing a basketball",
    ),
    "sideways dribble": (
        "{dribble} a basketball sideways", "{move} sideways dribbling a ball",
        "{sidestep} while bouncing a ball",
        "{bounce} a ball while stepping sideways", "{shuffle} to the side with a basketball",
        "{dribble} a ball to the side",
    ),
    "90-degree left turns": (
        "{dribble} with sharp left turns", "{turn} left with a ball", "{make} left turns while dribbling",
        "{dribble} forward and {turn} left", "{cut} to the left with a basketball",
        "{change} direction to the left while dribbling",
    ),
    "crossover dribble": (
        "{dribble} a ball from hand to hand", "{do} a crossover dribble",
        "{switch} the ball between the hands",
        "{bounce} a ball from one hand to the other", "{cross} the ball over while dribbling",
        "{dribble} with alternating hands",
    ),
    "shoot": (
        "{shoot} a basketball", "{throw} a ball at the basket", "{take} a shot at the hoop", "{shoot} a hoop",
        "{jump} and {shoot} a ball", "{toss} a basketball up",
    ),
    "dribble": (
        "{dribble} a basketball", "{bounce} a basketball", "{dribble} a ball",
        "{dribble} the ball with one hand",
        "{run} with a bouncing ball", "{dribble} the ball on the floor",
    ),
}  # fmt: skip
"""What one part of an entry means."""

CMU_SAME: Final[dict[str, str]] = {
    "small jetes": "jete", "grand jete en tourant": "jete en tourant", "turn step": "turn",
    "attitude/arabesque": "arabesque", "sideways arabesque": "arabesque", "pirouettes": "pirouette",
    "shifted-axis pirouette": "pirouette", "raised leg above hip-height": "raised leg",
    "rond de jambe in the air": "raised leg", "cartwheel-like start": "turn",
    "glissade devant": "ballet steps", "glissade derriere": "ballet steps",
    "pointe tendue a terre": "ballet steps", "retire derriere": "ballet steps",
    "coupe dessous": "ballet steps", "quasi-cou-de-pied": "ballet steps",
}  # fmt: skip
"""Parts that are told with the words of another part."""

CMU_CONTENTS: Final[dict[str, str]] = {"walk": "walk", "run/jog": "run", "punch/strike": "punch"}
"""Entries that are the same action as a content of the other data sets."""
