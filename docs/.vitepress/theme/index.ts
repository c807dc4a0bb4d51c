import DefaultTheme from "vitepress/theme";
import "./chapter.css";

export default DefaultTheme;
