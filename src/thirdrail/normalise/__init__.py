"""Raw decoded fields → canonical rows: pure functions of the bytes and of the poll's facts."""
