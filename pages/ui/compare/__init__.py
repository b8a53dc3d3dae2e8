"""The Compare page, part by part: who answers, one sentence, inside the models, a file, what got lost, a blind test."""
